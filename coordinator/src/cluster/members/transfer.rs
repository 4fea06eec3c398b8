//! The leader's place handed to another voter, and waited for.

use std::time::Duration;

use helixflow_model::CoordinatorId;
use helixflow_proto::context::CallContext;
use helixflow_proto::error::{Reason, status};
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::{POLL, step};
use crate::raft::{Change, ChangeError, ChangeRefusal, Handle};

/// How long the successor may take before it is asked again: it refuses while it lacks an entry.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long all attempts may take: several elections, at the times of far regions too.
const PATIENCE: Duration = Duration::from_secs(15);

/// Hands the place to `to`, or to the voter that has most of the log, and answers once that one leads.
pub(in crate::cluster) async fn transfer(
    raft: &Handle,
    to: Option<CoordinatorId>,
    context: &CallContext,
) -> Result<CoordinatorId, Status> {
    let survey = step(raft, Change::Survey, context).await?;
    let nobody =
        || status(Reason::Refused, "no other voter answers and has caught up: add or start one first");
    let to = match to {
        Some(to) => to,
        None => survey.heir().ok_or_else(nobody)?,
    };
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match step(raft, Change::HandOver { to }, context).await {
            Ok(survey) if survey.leader == to => return Ok(to),
            // It may lack no more than a moment: that it cannot lead at all shows at the first attempt.
            Err(ChangeError::Refused(ChangeRefusal::CannotLead { .. })) if begun.elapsed() > ATTEMPT => {}
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let asked = Instant::now();
        while asked.elapsed() < ATTEMPT {
            if raft.standing().leader == Some(to) {
                return Ok(to);
            }
            sleep(POLL).await;
        }
    }
    let message = format!("{to} did not come to lead within {PATIENCE:?}: see its log, then try again");
    Err(status(Reason::DeadlineExceeded, message))
}
