//! What is stored and sent, in types of our own: openraft's types change their layout between its releases.
//!
//! Each conversion is plain field by field. Fields are only added at the end, together with a new version.

mod append;
mod entry;
mod membership;
mod message;
mod propose;
mod snapshot;

use helixflow_model::CoordinatorId;
use openraft::vote::RaftLeaderId;
use serde::{Deserialize, Serialize};

use super::codec::Record;
use super::types::{LeaderId, LogId, Vote};

pub(crate) use append::AppendMessage;
pub use append::UnreadableEntry;
pub(crate) use entry::EntryRecord;
pub(crate) use membership::StoredMembershipRecord;
pub(crate) use message::{
    AppendReply, ChangeMessage, ChangeReply, ReadIndexMessage, ReadIndexReply, SnapshotHeader, SnapshotReply,
    TransferMessage, TransferReply, VoteMessage, VoteReply,
};
pub(crate) use propose::{ForwardedWrite, ProposeMessage, ProposeReply, WriteAnswer, WriteRecord};
pub(crate) use snapshot::{SnapshotMetaRecord, SnapshotRecord, StateRecord};

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogIdRecord {
    term: u64,
    leader: CoordinatorId,
    pub(crate) index: u64,
}

impl Record for LogIdRecord {
    const NAME: &'static str = "log id";
    const VERSION: u8 = 1;
}

impl From<LogId> for LogIdRecord {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, leader: id.leader_id.node_id, index: id.index }
    }
}

impl From<LogIdRecord> for LogId {
    fn from(record: LogIdRecord) -> Self {
        Self::new(LeaderId::new(record.term, record.leader), record.index)
    }
}

/// A vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VoteRecord {
    term: u64,
    candidate: CoordinatorId,
    committed: bool,
}

impl Record for VoteRecord {
    const NAME: &'static str = "vote";
    const VERSION: u8 = 1;
}

impl From<Vote> for VoteRecord {
    fn from(vote: Vote) -> Self {
        Self { term: vote.leader_id.term, candidate: vote.leader_id.node_id, committed: vote.committed }
    }
}

impl From<VoteRecord> for Vote {
    fn from(record: VoteRecord) -> Self {
        Self { leader_id: LeaderId::new(record.term, record.candidate), committed: record.committed }
    }
}
