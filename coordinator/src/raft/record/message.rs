//! What coordinators say to each other on the Raft port.

use helixflow_model::CoordinatorId;
use openraft::AsyncRuntime;
use openraft::raft::{
    StreamAppendError, StreamAppendResult, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use super::{LogIdRecord, SnapshotMetaRecord, VoteRecord};
use crate::raft::change::{Change, ChangeRefusal, Survey};
use crate::raft::codec::Record;
use crate::raft::types::TypeConfig;

macro_rules! messages {
    ($($type:ident = $name:literal),* $(,)?) => {
        $(impl Record for $type {
            const NAME: &'static str = $name;
            const VERSION: u8 = 1;
        })*
    };
}

messages! {
    VoteMessage = "vote request",
    VoteReply = "vote reply",
    AppendReply = "append reply",
    SnapshotHeader = "snapshot header",
    SnapshotReply = "snapshot reply",
    TransferMessage = "leader transfer",
    TransferReply = "leader transfer reply",
    ReadIndexMessage = "question for a read index",
    ReadIndexReply = "read index",
    ChangeMessage = "membership change",
    ChangeReply = "membership change's reply",
}

/// Asks for a vote, or whether one would be given.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VoteMessage {
    vote: VoteRecord,
    last: Option<LogIdRecord>,
    transfer: bool,
}

impl<R: AsyncRuntime> From<VoteRequest<TypeConfig<R>>> for VoteMessage {
    fn from(request: VoteRequest<TypeConfig<R>>) -> Self {
        Self {
            vote: request.vote.into(),
            last: request.last_log_id.map(Into::into),
            transfer: request.leadership_transfer,
        }
    }
}

impl<R: AsyncRuntime> From<VoteMessage> for VoteRequest<TypeConfig<R>> {
    fn from(message: VoteMessage) -> Self {
        Self {
            vote: message.vote.into(),
            last_log_id: message.last.map(Into::into),
            leadership_transfer: message.transfer,
        }
    }
}

/// Gives a vote, or not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VoteReply {
    vote: VoteRecord,
    granted: bool,
    last: Option<LogIdRecord>,
}

impl<R: AsyncRuntime> From<VoteResponse<TypeConfig<R>>> for VoteReply {
    fn from(response: VoteResponse<TypeConfig<R>>) -> Self {
        Self {
            vote: response.vote.into(),
            granted: response.vote_granted,
            last: response.last_log_id.map(Into::into),
        }
    }
}

impl<R: AsyncRuntime> From<VoteReply> for VoteResponse<TypeConfig<R>> {
    fn from(reply: VoteReply) -> Self {
        Self { vote: reply.vote.into(), vote_granted: reply.granted, last_log_id: reply.last.map(Into::into) }
    }
}

/// What a follower holds after an append.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum AppendReply {
    /// Its log equals the leader's up to here.
    Matched(Option<LogIdRecord>),
    /// Its log differs at the place where the entries should follow.
    Conflict(LogIdRecord),
    /// It has seen a higher vote.
    HigherVote(VoteRecord),
}

impl<R: AsyncRuntime> From<StreamAppendResult<TypeConfig<R>>> for AppendReply {
    fn from(result: StreamAppendResult<TypeConfig<R>>) -> Self {
        match result {
            Ok(matched) => Self::Matched(matched.map(Into::into)),
            Err(StreamAppendError::Conflict(at)) => Self::Conflict(at.into()),
            Err(StreamAppendError::HigherVote(vote)) => Self::HigherVote(vote.into()),
        }
    }
}

impl<R: AsyncRuntime> From<AppendReply> for StreamAppendResult<TypeConfig<R>> {
    fn from(reply: AppendReply) -> Self {
        match reply {
            AppendReply::Matched(matched) => Ok(matched.map(Into::into)),
            AppendReply::Conflict(at) => Err(StreamAppendError::Conflict(at.into())),
            AppendReply::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote.into())),
        }
    }
}

/// Comes before the bytes of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotHeader {
    /// The vote of the leader that sends it.
    pub(crate) vote: VoteRecord,
    /// What it covers.
    pub(crate) meta: SnapshotMetaRecord,
    /// How many bytes follow.
    pub(crate) bytes: u64,
}

/// The receiver's vote once the snapshot is installed or refused.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotReply {
    pub(crate) vote: VoteRecord,
}

/// A leader hands its place over.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TransferMessage {
    from: VoteRecord,
    to: CoordinatorId,
    last: Option<LogIdRecord>,
}

impl<R: AsyncRuntime> From<TransferLeaderRequest<TypeConfig<R>>> for TransferMessage {
    fn from(request: TransferLeaderRequest<TypeConfig<R>>) -> Self {
        Self {
            from: (*request.from_leader()).into(),
            to: *request.to_node_id(),
            last: request.last_log_id().copied().map(Into::into),
        }
    }
}

impl<R: AsyncRuntime> From<TransferMessage> for TransferLeaderRequest<TypeConfig<R>> {
    fn from(message: TransferMessage) -> Self {
        Self::new(message.from.into(), message.to, message.last.map(Into::into))
    }
}

/// Whether the receiver takes the place.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum TransferReply {
    Accepted,
    VoteChanged { expected: VoteRecord, actual: VoteRecord },
    NotFlushed { expected: Option<LogIdRecord>, actual: Option<LogIdRecord> },
}

impl<R: AsyncRuntime> From<TransferLeaderResponse<TypeConfig<R>>> for TransferReply {
    fn from(response: TransferLeaderResponse<TypeConfig<R>>) -> Self {
        match response {
            Ok(()) => Self::Accepted,
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                Self::VoteChanged { expected: expected.into(), actual: actual.into() }
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                Self::NotFlushed { expected: expected.map(Into::into), actual: actual.map(Into::into) }
            }
        }
    }
}

impl<R: AsyncRuntime> From<TransferReply> for TransferLeaderResponse<TypeConfig<R>> {
    fn from(reply: TransferReply) -> Self {
        match reply {
            TransferReply::Accepted => Ok(()),
            TransferReply::VoteChanged { expected, actual } => {
                Err(TransferLeaderError::VoteChanged { expected: expected.into(), actual: actual.into() })
            }
            TransferReply::NotFlushed { expected, actual } => Err(TransferLeaderError::LogNotFlushed {
                expected: expected.map(Into::into),
                actual: actual.map(Into::into),
            }),
        }
    }
}

/// Asks the leader how far to apply the log before a read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadIndexMessage {}

/// How far.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ReadIndexReply {
    /// A majority confirmed that the receiver leads, after the question came.
    At {
        /// Everything acknowledged before is at this log index or below.
        index: u64,
    },
    /// The receiver does not lead.
    NotLeader {
        /// Who leads, as far as it knows.
        leader: Option<CoordinatorId>,
    },
    /// No majority confirmed it in time.
    NoQuorum,
}

/// A step of a change of the membership, for the leader.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ChangeMessage {
    pub(crate) change: Change,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ChangeReply {
    /// It is made, or was before; this is how the group stands.
    Done(Survey),
    /// Nothing was changed.
    Refused(ChangeRefusal),
    /// Nothing was changed: the receiver does not lead, or its lease has run out.
    NotLeader {
        /// Who leads, as far as it knows.
        leader: Option<CoordinatorId>,
    },
    /// The leader changed meanwhile: it may yet take effect.
    Unknown,
}
