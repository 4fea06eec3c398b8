//! Bugs planted on purpose, each as a wrapper around disk, log or state machine: what a simulation is for has to catch
//! every one of them.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use futures::future::{BoxFuture, ready};
use futures::{Stream, StreamExt};
use helixflow_env::Disk;
use helixflow_env::disk::{DiskFile, Lock, MemoryDisk};
use helixflow_policy::state::Outcome;
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot as RaftSnapshot};
use openraft::{EntryPayload, OptionalSend};

use super::runtime::SimulatedRuntime;
use crate::raft::codec::{decode, encode};
use crate::raft::log::{Contents, LogStore, SegmentedLog, StoreError, Write};
use crate::raft::machine::{Builder, Machine};
use crate::raft::record::StateRecord;
use crate::raft::types::{LeaderId, LogId, Member, SnapshotMeta, StoredMembership, TypeConfig};
use helixflow_model::{CoordinatorId, Epoch, FeatureLevel};

/// One mistake that a coordinator could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// The disk is never told to make anything durable.
    SyncLeftOut,
    /// Votes are not written.
    VoteNotPersisted,
    /// A batch is answered when it is queued, and written with the next one.
    AnswerBeforeSync,
    /// From some moment on the disk takes nothing more, and yet every write is acknowledged.
    AcknowledgedWithoutDisk,
    /// One replica leaves an entry out.
    EntrySkipped,
    /// Every replica leaves an entry out that was answered as applied.
    WriteLost,
    /// Writes lose the number that their session gave them: one that is sent again is applied again.
    NumberForgotten,
    /// A process of an older build says that it knows every command.
    LevelOverstated,
    /// A snapshot holds no sessions.
    SnapshotWithoutSessions,
    /// A read that promises to be confirmed is not.
    StaleRead,
}

/// All of them.
pub(super) const BUGS: [Bug; 10] = [
    Bug::SyncLeftOut,
    Bug::VoteNotPersisted,
    Bug::AnswerBeforeSync,
    Bug::AcknowledgedWithoutDisk,
    Bug::EntrySkipped,
    Bug::WriteLost,
    Bug::NumberForgotten,
    Bug::LevelOverstated,
    Bug::SnapshotWithoutSessions,
    Bug::StaleRead,
];

impl FromStr for Bug {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        BUGS.into_iter().find(|bug| format!("{bug:?}") == name).ok_or(())
    }
}

/// A disk whose syncs do nothing.
#[derive(Debug)]
pub(super) struct UnsyncedDisk(pub(super) MemoryDisk);

#[derive(Debug)]
struct UnsyncedFile(Box<dyn DiskFile>);

impl DiskFile for UnsyncedFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn read(&self) -> io::Result<Vec<u8>> {
        self.0.read()
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }
    fn sync(&mut self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(ready(Ok(())))
    }
}

impl Disk for UnsyncedDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.read(path)
    }
    fn write_durably(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.0.write_durably(path, bytes)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.0.exists(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.0.list(path)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(self.0.open(path)?)))
    }
    fn rename_durably(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename_durably(from, to)
    }
    fn room(&self, folder: &Path) -> io::Result<u64> {
        self.0.room(folder)
    }
    fn lock(&self, path: &Path) -> io::Result<Lock> {
        self.0.lock(path)
    }
}

/// Batches that a disk takes before it takes no more.
const TAKEN: usize = 25;

/// The log, with a bug or without.
pub(super) struct PlantedStore {
    log: SegmentedLog,
    bug: Option<Bug>,
    /// Answered, and not written.
    held: Vec<Write>,
    batches: usize,
}

impl PlantedStore {
    pub(super) fn new(log: SegmentedLog, bug: Option<Bug>) -> Self {
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

/// One entry in so many is left out.
const LEFT_OUT: u64 = 41;
/// The replica that leaves it out.
const FORGETFUL: u64 = 2;

/// The state machine, with a bug or without.
pub(super) struct PlantedMachine {
    machine: Machine,
    bug: Option<Bug>,
    replica: u64,
    /// What this process can apply.
    level: FeatureLevel,
}

impl PlantedMachine {
    pub(super) fn new(machine: Machine, bug: Option<Bug>, replica: u64, level: FeatureLevel) -> Self {
        Self { machine, bug, replica, level }
    }
}

type Types = TypeConfig<SimulatedRuntime>;
type Item = io::Result<EntryResponder<Types>>;

/// An entry as the bug would have it. An older build cannot read a newer command.
fn alter(item: Item, bug: Option<Bug>, replica: u64, level: FeatureLevel) -> Item {
    let (mut entry, responder) = item?;
    if let EntryPayload::Normal(proposal) = &entry.payload
        && proposal.command.level() > level
    {
        return Err(io::Error::other(format!("{proposal} is beyond this build")));
    }
    let hit = entry.log_id.index % LEFT_OUT == 0 && matches!(entry.payload, EntryPayload::Normal(_));
    match bug {
        Some(Bug::EntrySkipped) if hit && replica == FORGETFUL && responder.is_none() => {
            entry.payload = EntryPayload::Blank;
        }
        Some(Bug::WriteLost) if hit => {
            entry.payload = EntryPayload::Blank;
            if let Some(responder) = responder {
                responder.send(Some(Outcome::Put { revision: Epoch(1) }));
            }
            return Ok((entry, None));
        }
        Some(Bug::NumberForgotten) => {
            if let EntryPayload::Normal(proposal) = &mut entry.payload {
                proposal.write = None;
            }
        }
        _ => {}
    }
    Ok((entry, responder))
}

/// The same state with no session in it.
fn without_sessions(data: &Bytes) -> io::Result<Bytes> {
    let StateRecord(state) = decode(data)?;
    let mut fields = serde_json::to_value(state)?;
    fields["sessions"] = serde_json::json!({});
    Ok(encode(&StateRecord(serde_json::from_value(fields)?))?.into())
}

impl RaftStateMachine<Types> for PlantedMachine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        RaftStateMachine::<Types>::applied_state(&mut self.machine).await
    }

    async fn apply<S: Stream<Item = Item> + Unpin + OptionalSend>(&mut self, entries: S) -> io::Result<()> {
        let (bug, replica, level) = (self.bug, self.replica, self.level);
        let altered = entries.map(move |item| alter(item, bug, replica, level));
        RaftStateMachine::<Types>::apply(&mut self.machine, altered).await
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        RaftStateMachine::<Types>::try_create_snapshot_builder(&mut self.machine, force).await
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        RaftStateMachine::<Types>::get_snapshot_builder(&mut self.machine).await
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Bytes) -> io::Result<()> {
        let forgets = self.bug == Some(Bug::SnapshotWithoutSessions);
        let data = if forgets { without_sessions(&data)? } else { data };
        RaftStateMachine::<Types>::install_snapshot(&mut self.machine, meta, data).await
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<RaftSnapshot<LeaderId, CoordinatorId, Member, Bytes>>> {
        RaftStateMachine::<Types>::get_current_snapshot(&mut self.machine).await
    }
}
