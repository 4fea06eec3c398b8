//! The log on the disk, with a bug or without.

use super::Bug;
use crate::raft::log::{Contents, LogStore, SegmentedLog, StoreError, Write};

/// Batches that a disk takes before it takes no more.
const TAKEN: usize = 25;

/// The log, with a bug or without.
pub(in crate::raft::simulation) struct PlantedStore {
    log: SegmentedLog,
    bug: Option<Bug>,
    /// Answered, and not written.
    held: Vec<Write>,
    batches: usize,
}

impl PlantedStore {
    pub(in crate::raft::simulation) fn new(log: SegmentedLog, bug: Option<Bug>) -> Self {
        Self { log, bug, held: Vec::new(), batches: 0 }
    }
}

impl LogStore for PlantedStore {
    fn load(&mut self) -> Result<Contents, StoreError> {
        self.log.load()
    }

    async fn commit(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        self.batches += 1;
        match self.bug {
            Some(Bug::VoteNotPersisted) => {
                let is_vote = |write: &&Write| matches!(write, Write::Vote(_));
                let rest: Vec<Write> = batch.iter().filter(|write| !is_vote(write)).cloned().collect();
                self.log.commit(&rest).await
            }
            Some(Bug::AnswerBeforeSync) => {
                let held = std::mem::replace(&mut self.held, batch.to_vec());
                self.log.commit(&held).await
            }
            Some(Bug::AcknowledgedWithoutDisk) if self.batches > TAKEN => Ok(()),
            _ => self.log.commit(batch).await,
        }
    }
}
