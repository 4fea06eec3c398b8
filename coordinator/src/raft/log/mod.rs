//! The Raft log: vote, entries, purge and commit marks, durable in one order.
//!
//! [`LogStore`] is what a disk format has to give; [`segmented`] is the one in use, and `redb` the one that tests hold it
//! to. [`writer`] is its only caller: one ordered writer that makes a whole batch durable with one sync. [`storage`] is
//! openraft's view of it.

mod contents;
#[cfg(test)]
pub(crate) mod redb;
mod segmented;
mod storage;
#[cfg(test)]
mod tests;
mod writer;

use std::future::Future;
use std::io;

use super::codec::CodecError;
use super::record::{LogIdRecord, VoteRecord};

pub(crate) use contents::Contents;
pub use segmented::OpenLogError;
pub(crate) use segmented::{Place, SEGMENT_BYTES, SegmentedLog};
pub(crate) use storage::{FirstKept, LogStorage};

/// A format that keeps the log on a disk.
pub(crate) trait LogStore: Send + 'static {
    /// Everything that it held when it was opened. Asked once.
    fn load(&mut self) -> Result<Contents, StoreError>;

    /// Makes the writes durable, in order, all or none of them, with one sync. Blocks the thread that polls it.
    fn commit(&mut self, batch: &[Write]) -> impl Future<Output = Result<(), StoreError>> + Send;
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

impl Write {
    /// The highest index of an entry in it.
    fn highest(&self) -> Option<u64> {
        match self {
            Self::Entries(entries) => entries.iter().map(|(index, _)| *index).max(),
            _ => None,
        }
    }
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
        source: io::Error,
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
    #[error("the Raft log takes nothing more since this: {first}; start the process again")]
    Failed {
        /// What went wrong then.
        first: String,
    },
}
