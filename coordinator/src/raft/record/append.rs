//! Entries on their way to a follower, each a record of its own, so that one which cannot be read can be named.

use std::error::Error;

use bytes::Bytes;
use openraft::AsyncRuntime;
use openraft::raft::AppendEntriesRequest;
use serde::{Deserialize, Serialize};

use super::{EntryRecord, LogIdRecord, VoteRecord};
use crate::raft::codec::{CodecError, Record, decode, encode};
use crate::raft::types::{Entry, TypeConfig};

/// Entries to append; none in a heartbeat.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AppendMessage {
    vote: VoteRecord,
    previous: Option<LogIdRecord>,
    entries: Vec<SealedEntry>,
    committed: Option<LogIdRecord>,
}

/// An entry's place, and its record as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct SealedEntry {
    id: LogIdRecord,
    record: Bytes,
}

impl Record for AppendMessage {
    const NAME: &'static str = "append request";
    const VERSION: u8 = 2;
}

/// An entry that this build cannot read. To skip it would make this replica differ from the others, so whoever meets one
/// stops.
#[derive(Debug, thiserror::Error)]
#[error(
    "the log's entry {index} of term {term} cannot be read, and this coordinator does not go on without it"
)]
pub struct UnreadableEntry {
    index: u64,
    term: u64,
    source: Box<dyn Error + Send + Sync>,
}

impl<R: AsyncRuntime> TryFrom<AppendEntriesRequest<TypeConfig<R>>> for AppendMessage {
    type Error = CodecError;

    fn try_from(request: AppendEntriesRequest<TypeConfig<R>>) -> Result<Self, CodecError> {
        let seal = |entry: Entry| {
            let id = entry.log_id.into();
            Ok(SealedEntry { id, record: encode(&EntryRecord::from(entry))?.into() })
        };
        Ok(Self {
            vote: request.vote.into(),
            previous: request.prev_log_id.map(Into::into),
            entries: request.entries.into_iter().map(seal).collect::<Result<_, _>>()?,
            committed: request.leader_commit.map(Into::into),
        })
    }
}

impl<R: AsyncRuntime> TryFrom<AppendMessage> for AppendEntriesRequest<TypeConfig<R>> {
    type Error = UnreadableEntry;

    fn try_from(message: AppendMessage) -> Result<Self, UnreadableEntry> {
        Ok(Self {
            vote: message.vote.into(),
            prev_log_id: message.previous.map(Into::into),
            entries: message.entries.into_iter().map(SealedEntry::open).collect::<Result<_, _>>()?,
            leader_commit: message.committed.map(Into::into),
        })
    }
}

impl SealedEntry {
    fn open(self) -> Result<Entry, UnreadableEntry> {
        let LogIdRecord { index, term, .. } = self.id;
        let unreadable = |source| UnreadableEntry { index, term, source };
        let record: EntryRecord = decode(&self.record).map_err(|error| unreadable(error.into()))?;
        record.try_into().map_err(|error: super::membership::BadMembership| unreadable(error.into()))
    }
}
