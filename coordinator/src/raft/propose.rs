//! Writes at any coordinator: applied here where this one leads, else forwarded to the leader.
//!
//! What was refused before it was appended is tried again until the deadline. So is what may have been appended, where
//! the write has a number in a session and is applied once however often it is proposed; without one its outcome is
//! told to be unknown.

use std::time::Duration;

use helixflow_model::{CoordinatorId, FeatureLevel};
use helixflow_policy::state::Outcome;
use helixflow_proto::context::CallContext;
use helixflow_proto::error::{Reason, status};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Status;

use super::group::Group;
use super::handle::WRITE_DEADLINE;
use super::platform::Platform;
use super::record::{WriteAnswer, WriteRecord};

/// How long to wait for a leader before asking again: well below an election.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A command that is in the log and was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Where in the log.
    pub index: u64,
    /// What applying it gave.
    pub outcome: Outcome,
}

/// Why a command has no known outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Nothing was written: no leader with a quorum was found in time.
    #[error(
        "no majority of coordinators answered in time, so nothing was written: start the missing coordinators, then try again"
    )]
    NoQuorum,
    /// It may have been written.
    #[error(
        "the write's outcome is not known, it may yet take effect: look at the status, or send the same command again"
    )]
    OutcomeUnknown,
    /// Too many writes wait already.
    #[error("too many writes wait at this coordinator: try again shortly")]
    QueueFull,
    /// The command is larger than an entry may be.
    #[error("the command has {bytes} bytes, an entry at most {limit}: split it")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// A member could not apply it, so nothing was written.
    #[error(
        "the write needs feature {needed} of every coordinator, and {by} has {level}: update it and start it again, or remove it"
    )]
    HeldBack {
        /// What the command needs.
        needed: FeatureLevel,
        /// The member that can do the least.
        by: CoordinatorId,
        /// What it can do.
        level: FeatureLevel,
    },
    /// The leader's disk is nearly full, so nothing was written.
    #[error(
        "the disk of the leading coordinator is nearly full, so nothing was written: make room there, or hand its place to another with `helixflow coordinator transfer-leader`"
    )]
    DiskLow,
    /// This coordinator's Raft has ended.
    #[error("this coordinator is stopping: ask another one")]
    Stopped,
}

impl From<ProposeError> for Status {
    fn from(error: ProposeError) -> Self {
        let reason = match &error {
            ProposeError::NoQuorum => Reason::NoQuorum,
            ProposeError::OutcomeUnknown => Reason::OutcomeUnknown,
            ProposeError::QueueFull => Reason::QueueFull,
            ProposeError::TooLarge { .. } => Reason::InvalidParameter,
            ProposeError::HeldBack { .. } => Reason::LevelTooLow,
            ProposeError::DiskLow => Reason::DiskLow,
            ProposeError::Stopped => Reason::Draining,
        };
        status(reason, error.to_string())
    }
}

/// Writes, wherever the leader is.
pub(super) async fn propose<R: Platform>(
    group: &Group<R>,
    write: WriteRecord,
    context: &CallContext,
) -> Result<Applied, ProposeError> {
    let deadline = context.deadline.unwrap_or_else(|| Instant::now() + WRITE_DEADLINE);
    let is_numbered = write.write.is_some();
    let mut leader_elsewhere = group.leader_elsewhere();
    let mut unknown = false;
    while Instant::now() < deadline {
        let reply = match leader_elsewhere {
            Some(leader) => forward(group, leader, write.clone(), context, deadline).await,
            None => here(group, write.clone(), deadline).await?,
        };
        leader_elsewhere = match reply {
            WriteAnswer::Applied { outcome, .. } if unknown && outcome.is_of_an_expired_session() => {
                return Err(ProposeError::OutcomeUnknown);
            }
            WriteAnswer::Applied { index, outcome } => return Ok(Applied { index, outcome }),
            WriteAnswer::HeldBack { .. } | WriteAnswer::DiskLow if unknown => {
                return Err(ProposeError::OutcomeUnknown);
            }
            WriteAnswer::HeldBack { needed, by, level } => {
                return Err(ProposeError::HeldBack { needed, by, level });
            }
            WriteAnswer::DiskLow => return Err(ProposeError::DiskLow),
            WriteAnswer::Unknown if !is_numbered => return Err(ProposeError::OutcomeUnknown),
            WriteAnswer::NotLeader { leader } if leader_elsewhere.is_none() && leader.is_some() => leader,
            WriteAnswer::NotLeader { .. } | WriteAnswer::Unknown => {
                unknown |= matches!(reply, WriteAnswer::Unknown);
                // No leader is known, or the one we know has just lost its place: let the election come to its end.
                sleep_until(deadline.min(Instant::now() + RETRY_PAUSE)).await;
                None
            }
        };
    }
    Err(if unknown { ProposeError::OutcomeUnknown } else { ProposeError::NoQuorum })
}

async fn here<R: Platform>(
    group: &Group<R>,
    write: WriteRecord,
    deadline: Instant,
) -> Result<WriteAnswer, ProposeError> {
    match timeout_at(deadline, group.write(write)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(_)) => Err(ProposeError::Stopped),
        Err(_) => Err(ProposeError::OutcomeUnknown),
    }
}

async fn forward<R: Platform>(
    group: &Group<R>,
    leader: CoordinatorId,
    write: WriteRecord,
    context: &CallContext,
    deadline: Instant,
) -> WriteAnswer {
    let Some(member) = group.member(leader) else {
        return WriteAnswer::NotLeader { leader: None };
    };
    let forwarded = group.forwarding().write(leader, &member, write, context);
    tokio::select! {
        biased;
        answer = timeout_at(deadline, forwarded) => answer.unwrap_or(WriteAnswer::Unknown),
        // One that was cut off may never answer: whoever leads now can.
        () = group.another_leads(leader) => WriteAnswer::Unknown,
    }
}
