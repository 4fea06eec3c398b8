//! What a log holds: the result of its writes, one after the other.

use std::collections::BTreeMap;

use super::Write;
use crate::raft::codec::{CodecError, decode};
use crate::raft::record::{EntryRecord, LogIdRecord, VoteRecord};

/// What a log holds besides entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) vote: Option<VoteRecord>,
    /// Everything up to here is gone: a durable snapshot holds it.
    pub(crate) purged: Option<LogIdRecord>,
    pub(crate) committed: Option<LogIdRecord>,
}

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) marks: Marks,
    /// By index, each with its encoded size.
    pub(crate) entries: BTreeMap<u64, (EntryRecord, usize)>,
}

/// Entries that do not follow each other.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the entry {missing} is missing")]
pub(crate) struct Gap {
    missing: u64,
}

impl Marks {
    /// Repeats what a write says of them.
    pub(super) fn replay(&mut self, write: &Write) {
        match write {
            Write::Vote(vote) => self.vote = Some(*vote),
            Write::Committed(committed) => self.committed = committed.or(self.committed),
            Write::Purge(upto) => self.purged = Some(*upto),
            Write::Entries(_) | Write::TruncateAfter(_) => {}
        }
    }
}

impl Contents {
    /// Where the log ends.
    pub(crate) fn last(&self) -> Option<LogIdRecord> {
        self.entries.last_key_value().map(|(_, (entry, _))| entry.id).or(self.marks.purged)
    }

    /// Repeats a write.
    pub(super) fn replay(&mut self, write: &Write) -> Result<(), CodecError> {
        self.marks.replay(write);
        match write {
            Write::TruncateAfter(last) => self.truncate_after(*last),
            Write::Purge(upto) => self.purge(*upto),
            Write::Entries(entries) => {
                for (index, bytes) in entries {
                    self.entries.insert(*index, (decode(bytes)?, bytes.len()));
                }
            }
            Write::Vote(_) | Write::Committed(_) => {}
        }
        Ok(())
    }

    /// Everything after this index goes; everything at all without one.
    pub(super) fn truncate_after(&mut self, last: Option<u64>) {
        self.entries.split_off(&last.map_or(0, |index| index.saturating_add(1)));
    }

    /// Everything up to this place goes.
    pub(super) fn purge(&mut self, upto: LogIdRecord) {
        self.entries = self.entries.split_off(&upto.index.saturating_add(1));
        self.marks.purged = Some(upto);
    }

    /// Whether every entry from the purged ones to the last is there.
    pub(super) fn check(&self) -> Result<(), Gap> {
        let first = self.marks.purged.map_or(0, |purged| purged.index.saturating_add(1));
        match (first..).zip(self.entries.keys()).find(|(expected, found)| expected != *found) {
            Some((missing, _)) => Err(Gap { missing }),
            None => Ok(()),
        }
    }
}
