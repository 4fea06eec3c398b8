//! openraft's view of the log, with a bug or without.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;

use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};

use super::super::runtime::SimulatedRuntime;
use super::{Bug, Types};
use crate::raft::log::LogStorage;
use crate::raft::types::{Entry, LogId, Vote};

/// openraft's view of the log, with a bug or without.
#[derive(Clone)]
pub(in crate::raft::simulation) struct PlantedStorage {
    log: LogStorage<SimulatedRuntime>,
    bug: Option<Bug>,
}

impl PlantedStorage {
    pub(in crate::raft::simulation) fn new(log: LogStorage<SimulatedRuntime>, bug: Option<Bug>) -> Self {
        Self { log, bug }
    }
}

impl RaftLogReader<Types> for PlantedStorage {
    async fn try_get_log_entries<B>(&mut self, range: B) -> io::Result<Vec<Entry>>
    where
        B: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.log.try_get_log_entries(range).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.log.limited_get_log_entries(start, end).await
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.log.read_vote().await
    }
}

impl RaftLogStorage<Types> for PlantedStorage {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        self.log.get_log_state().await
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.log.save_vote(vote).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.log.save_committed(committed).await
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        self.log.read_committed().await
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut entries: Vec<Entry> = entries.into_iter().collect();
        if self.bug == Some(Bug::TruncationForgotten) {
            let last = self.log.get_log_state().await?.last_log_id;
            entries.retain(|entry| Some(entry.log_id.index) > last.map(|last| last.index));
        }
        self.log.append(entries, flushed).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        match self.bug {
            Some(Bug::TruncationForgotten) => Ok(()),
            _ => self.log.truncate_after(last).await,
        }
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.log.purge(upto).await
    }
}
