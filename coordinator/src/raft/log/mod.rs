//! The Raft log: vote, entries, purge and commit marks, durable in one order.
//!
//! [`LogStore`] is what a disk format has to give; [`redb`] is the one there is. [`writer`] is its only caller: one
//! ordered writer that makes a whole batch durable with one sync. [`storage`] is openraft's view of it.

mod redb;
mod storage;
mod writer;

use std::collections::BTreeMap;

use super::codec::CodecError;
use super::record::{EntryRecord, LogIdRecord, VoteRecord};

pub use redb::OpenLogError;
pub(crate) use redb::RedbStore;
pub(crate) use storage::LogStorage;

/// A format that keeps the log on a disk.
pub(crate) trait LogStore: Send + 'static {
    /// Everything that it holds.
    fn load(&self) -> Result<Contents, StoreError>;

    /// Makes the writes durable, in order, all or none of them, with one sync.
    fn commit(&mut self, batch: &[Write]) -> Result<(), StoreError>;
}

/// One change of the log.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// The vote, which must be durable before it is told to anybody.
    Vote(VoteRecord),
    /// Entries that follow each other, each with its index, encoded.
    Entries(Vec<(u64, Vec<u8>)>),
    /// Everything after this index goes; everything at all without one.
    TruncateAfter(Option<u64>),
    /// Everything up to this place goes: a durable snapshot holds it.
    Purge(LogIdRecord),
    /// What is known to be committed. It may be lost: the leader tells it again.
    Committed(Option<LogIdRecord>),
}

/// What a store holds.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) vote: Option<VoteRecord>,
    pub(crate) purged: Option<LogIdRecord>,
    pub(crate) committed: Option<LogIdRecord>,
    /// By index, each with its encoded size.
    pub(crate) entries: BTreeMap<u64, (EntryRecord, usize)>,
}

/// The disk or the file failed. Whatever it was, the log can no longer be trusted to grow.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The store itself failed.
    #[error("the Raft log at {path} failed: check the disk, then start again")]
    Store {
        /// Its file.
        path: String,
        /// What it said.
        source: Box<::redb::Error>,
    },
    /// A record in it is damaged or of another version.
    #[error("the Raft log at {path} cannot be read")]
    Record {
        /// Its file.
        path: String,
        /// What is wrong with it.
        source: CodecError,
    },
    /// A commit failed before: nothing is written after it.
    #[error("the Raft log failed before and takes nothing more: start the process again")]
    Failed,
}
