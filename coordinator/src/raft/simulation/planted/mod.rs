//! Bugs planted on purpose, each as a wrapper around disk, log or state machine: what a simulation is for has to catch
//! every one of them.

mod disk;
mod log;
mod machine;
mod storage;

use std::str::FromStr;

use super::runtime::SimulatedRuntime;
use crate::raft::types::TypeConfig;

pub(super) use disk::UnsyncedDisk;
pub(super) use log::PlantedStore;
pub(super) use machine::PlantedMachine;
pub(super) use storage::PlantedStorage;

type Types = TypeConfig<SimulatedRuntime>;

/// One mistake that a coordinator could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    /// The disk is never told to make anything durable.
    SyncLeftOut,
    /// Votes are not written.
    VoteNotPersisted,
    /// A batch is answered when it is queued, and written with the next one.
    AnswerBeforeSync,
    /// A follower that has other entries than its leader keeps its own.
    TruncationForgotten,
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
pub(super) const BUGS: [Bug; 11] = [
    Bug::SyncLeftOut,
    Bug::VoteNotPersisted,
    Bug::AnswerBeforeSync,
    Bug::TruncationForgotten,
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
