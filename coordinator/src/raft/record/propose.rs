//! Writes on their way to the leader, many in one message.

use helixflow_model::{CoordinatorId, FeatureLevel, RequestId};
use helixflow_policy::state::{Command, Outcome, WriteId};
use helixflow_proto::context::CallContext;
use serde::{Deserialize, Serialize};

use crate::raft::codec::Record;

/// A write, before the leader gives it a time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WriteRecord {
    /// Its number, where it has one.
    pub(crate) write: Option<WriteId>,
    /// What is to change.
    pub(crate) command: Command,
}

/// A write, and on whose behalf it is made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ForwardedWrite {
    /// The call that asked for it.
    pub(crate) request_id: RequestId,
    /// What its spans hang under.
    pub(crate) traceparent: Option<String>,
    pub(crate) write: WriteRecord,
}

impl ForwardedWrite {
    pub(crate) fn new(context: &CallContext, write: WriteRecord) -> Self {
        Self { request_id: context.request_id.clone(), traceparent: context.traceparent_here(), write }
    }
}

/// Writes that another coordinator was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProposeMessage {
    pub(crate) writes: Vec<ForwardedWrite>,
}

impl Record for ProposeMessage {
    const NAME: &'static str = "proposal";
    const VERSION: u8 = 3;
}

/// What came of each, in their order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProposeReply {
    pub(crate) answers: Vec<WriteAnswer>,
}

impl Record for ProposeReply {
    const NAME: &'static str = "proposal's reply";
    const VERSION: u8 = 2;
}

/// What came of a write.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum WriteAnswer {
    /// It is in the log, and was applied.
    Applied {
        /// Where in the log.
        index: u64,
        /// What applying it gave.
        outcome: Outcome,
    },
    /// Nothing was appended: the receiver does not lead, or its lease has run out.
    NotLeader {
        /// Who leads, as far as it knows.
        leader: Option<CoordinatorId>,
    },
    /// It was appended, and then the leader changed: it may yet take effect.
    Unknown,
    /// Nothing was appended: a member could not apply it.
    HeldBack {
        /// What the command needs.
        needed: FeatureLevel,
        /// The member that can do the least.
        by: CoordinatorId,
        /// What it can do.
        level: FeatureLevel,
    },
    /// Nothing was appended: the leader's disk is nearly full.
    DiskLow,
}
