//! Reads at any coordinator: confirmed by a majority, or at once with their age.
//!
//! A confirmed read costs no entry of the log: the leader asks a majority whether it still leads, and names how far the
//! log went before; whoever reads waits until it has applied that much. It changes nothing, so whatever fails is asked
//! again until the deadline.

use std::sync::Arc;
use std::time::Duration;

use helixflow_model::CoordinatorId;
use helixflow_policy::state::ClusterState;
use helixflow_proto::context::CallContext;
use helixflow_proto::error::{Reason, status};
use openraft::metrics::WaitError;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Status;

use super::group::Group;
use super::network::PeerClient;
use super::platform::Platform;
use super::propose::RETRY_PAUSE;
use super::record::{ReadIndexMessage, ReadIndexReply};

/// How long a confirmed read may take when its caller names no deadline: several elections.
pub const READ_DEADLINE: Duration = Duration::from_secs(5);

/// How much a read promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Linearizable: it sees every write that was acknowledged before it began.
    Confirmed,
    /// What this coordinator has applied, also without a quorum.
    Stale,
}

/// The state, and what it is worth.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The state as this coordinator has applied it.
    pub state: Arc<ClusterState>,
    /// What the read promises.
    pub consistency: Consistency,
    /// How long ago this coordinator last knew of a quorum: writes since then may be missing. Zero where confirmed;
    /// `None` when it never knew of one since it started.
    pub age: Option<Duration>,
    /// The log index applied last.
    pub applied: u64,
}

/// Why a read was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No leader with a quorum confirmed it in time.
    #[error(
        "no majority of coordinators confirmed the read in time: start the missing coordinators, or ask for a stale answer"
    )]
    NoQuorum,
    /// Too many reads wait already.
    #[error("too many reads wait at this coordinator: try again shortly")]
    QueueFull,
    /// This coordinator's Raft has ended.
    #[error("this coordinator is stopping: ask another one")]
    Stopped,
}

impl From<ReadError> for Status {
    fn from(error: ReadError) -> Self {
        let reason = match &error {
            ReadError::NoQuorum => Reason::NoQuorum,
            ReadError::QueueFull => Reason::QueueFull,
            ReadError::Stopped => Reason::Draining,
        };
        status(reason, error.to_string())
    }
}

/// Waits until this coordinator has applied everything that was acknowledged before the call.
pub(super) async fn confirm<R: Platform>(group: &Group<R>, context: &CallContext) -> Result<(), ReadError> {
    let deadline = context.deadline.unwrap_or_else(|| Instant::now() + READ_DEADLINE);
    let mut leader_elsewhere = group.leader_elsewhere();
    while Instant::now() < deadline {
        let reply = match leader_elsewhere {
            Some(leader) => ask(group, leader, context, deadline).await,
            None => here(group, deadline).await?,
        };
        leader_elsewhere = match reply {
            ReadIndexReply::At { index } => return applied(group, index, deadline).await,
            ReadIndexReply::NotLeader { leader } if leader_elsewhere.is_none() && leader.is_some() => leader,
            ReadIndexReply::NotLeader { .. } | ReadIndexReply::NoQuorum => {
                sleep_until(deadline.min(Instant::now() + RETRY_PAUSE)).await;
                None
            }
        };
    }
    Err(ReadError::NoQuorum)
}

async fn here<R: Platform>(group: &Group<R>, deadline: Instant) -> Result<ReadIndexReply, ReadError> {
    match timeout_at(deadline, group.read_index()).await {
        Ok(reply) => reply.map_err(|_| ReadError::Stopped),
        Err(_) => Err(ReadError::NoQuorum),
    }
}

async fn ask<R: Platform>(
    group: &Group<R>,
    leader: CoordinatorId,
    context: &CallContext,
    deadline: Instant,
) -> ReadIndexReply {
    let send = |mut client: PeerClient, request| async move { client.read_index(request).await };
    let reply = group.ask(leader, &ReadIndexMessage {}, (context, deadline), send).await;
    reply.unwrap_or(ReadIndexReply::NotLeader { leader: None })
}

async fn applied<R: Platform>(group: &Group<R>, index: u64, deadline: Instant) -> Result<(), ReadError> {
    let left = deadline.saturating_duration_since(Instant::now());
    match group.raft().wait(Some(left)).applied_index_at_least(Some(index), "a read").await {
        Ok(_) => Ok(()),
        Err(WaitError::Timeout(..)) => Err(ReadError::NoQuorum),
        Err(WaitError::ShuttingDown) => Err(ReadError::Stopped),
    }
}
