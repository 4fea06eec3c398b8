//! A member that goes: it hands the leader's place over first, then it is forgotten, then it is no member any more.
//!
//! Forgotten first: should this be interrupted, the id is used up all the same, and the same command again finishes it.

use helixflow_model::CoordinatorId;
use helixflow_policy::state::Command;
use helixflow_proto::context::CallContext;
use tonic::Status;

use super::{step, transfer};
use crate::cluster::service::write_context;
use crate::raft::{Change, Handle};

/// Takes a member out; tells whether it was one.
pub(in crate::cluster) async fn remove(
    raft: &Handle,
    id: CoordinatorId,
    context: &CallContext,
) -> Result<bool, Status> {
    let survey = step(raft, Change::CheckRemoval { id }, context).await?;
    if survey.leader == id {
        transfer(raft, None, context).await?;
    }
    let was_known = raft.state().borrow().coordinators().contains_key(&id);
    raft.propose(Command::RemoveCoordinator { id }, write_context(context)).await?;
    step(raft, Change::Remove { id }, context).await?;
    Ok(was_known || survey.members.contains_key(&id))
}
