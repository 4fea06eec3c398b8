//! A step of a membership change, or the survey, asked of the leader from any coordinator.

use std::time::Duration;

use helixflow_model::CoordinatorId;
use helixflow_proto::context::CallContext;
use helixflow_proto::error::{Reason, status};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Status;

use super::change::{Change, ChangeRefusal, Survey, change};
use super::group::Group;
use super::network::PeerClient;
use super::platform::Platform;
use super::propose::RETRY_PAUSE;
use super::record::{ChangeMessage, ChangeReply};
use super::to_leader::Unanswered;

/// How long a step may take when its caller names no deadline: two entries of the log, and an election or two.
pub const CHANGE_DEADLINE: Duration = Duration::from_secs(10);

/// Why a step was not made, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The leader refuses it.
    #[error(transparent)]
    Refused(#[from] ChangeRefusal),
    /// No leader was found in time.
    #[error(
        "no majority of coordinators answered in time, so nothing was changed: start the missing ones, then try again; helixflow coordinator recover is for when they are lost for good"
    )]
    NoQuorum,
    /// There is no group to change.
    #[error(
        "this coordinator belongs to no cluster yet: make one with helixflow cluster bootstrap, or add it to one with helixflow coordinator add, asking a member"
    )]
    NoCluster,
    /// It may have been made.
    #[error(
        "whether the change took effect is not known: look at helixflow coordinator list, or give the same command again"
    )]
    OutcomeUnknown,
    /// This coordinator's Raft has ended.
    #[error("this coordinator is stopping: ask another one")]
    Stopped,
}

impl From<ChangeError> for Status {
    fn from(error: ChangeError) -> Self {
        let reason = match &error {
            ChangeError::Refused(_) | ChangeError::NoCluster => Reason::Refused,
            ChangeError::NoQuorum => Reason::NoQuorum,
            ChangeError::OutcomeUnknown => Reason::OutcomeUnknown,
            ChangeError::Stopped => Reason::Draining,
        };
        status(reason, error.to_string())
    }
}

/// Has the leader make a step, wherever it is.
pub(super) async fn ask_leader<R: Platform>(
    group: &Group<R>,
    step: Change,
    context: &CallContext,
) -> Result<Survey, ChangeError> {
    let deadline = context.deadline.unwrap_or_else(|| Instant::now() + CHANGE_DEADLINE);
    let mut leader_elsewhere = None;
    if group.members().is_empty() {
        return Err(ChangeError::NoCluster);
    }
    let mut guesses = group.others().into_iter().cycle();
    while Instant::now() < deadline {
        let reply = match leader_elsewhere {
            Some(leader) => forward(group, leader, &step, context, deadline).await?,
            None => match timeout_at(deadline, change(group, step.clone())).await {
                Ok(reply) => reply.map_err(|_| ChangeError::Stopped)?,
                Err(_) => return Err(ChangeError::OutcomeUnknown),
            },
        };
        leader_elsewhere = match reply {
            ChangeReply::Done(survey) => return Ok(survey),
            ChangeReply::Refused(refusal) => return Err(refusal.into()),
            ChangeReply::Unknown => return Err(ChangeError::OutcomeUnknown),
            ChangeReply::NotLeader { leader: Some(leader) } if leader_elsewhere != Some(leader) => {
                Some(leader)
            }
            ChangeReply::NotLeader { .. } => {
                sleep_until(deadline.min(Instant::now() + RETRY_PAUSE)).await;
                // One whose address has changed hears of no leader: the others then say who leads.
                let unknown = leader_elsewhere.is_none();
                unknown.then(|| guesses.next()).flatten()
            }
        };
    }
    Err(ChangeError::NoQuorum)
}

async fn forward<R: Platform>(
    group: &Group<R>,
    leader: CoordinatorId,
    step: &Change,
    context: &CallContext,
    deadline: Instant,
) -> Result<ChangeReply, ChangeError> {
    let message = ChangeMessage { change: step.clone() };
    let send = |mut client: PeerClient, request| async move { client.change(request).await };
    match group.ask(leader, &message, (context, deadline), send).await {
        Ok(reply) => Ok(reply),
        Err(Unanswered::Unknown) if *step != Change::Survey => Err(ChangeError::OutcomeUnknown),
        // A question may be asked again, whatever became of it.
        Err(_) => Ok(ChangeReply::NotLeader { leader: None }),
    }
}
