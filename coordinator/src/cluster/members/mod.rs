//! The verbs of membership: what `raft::Change` does step by step, put together so that it may be interrupted anywhere
//! and asked for again.

mod add;
mod list;
mod remove;
mod transfer;

use std::time::Duration;

use helixflow_proto::context::CallContext;
use tokio::time::Instant;

use crate::raft::{CHANGE_DEADLINE, Change, ChangeError, Handle, Survey};

pub(super) use add::Add;
pub(super) use list::list;
pub(super) use remove::remove;
pub(super) use transfer::transfer;

/// How often the group is looked at while something is waited for.
const POLL: Duration = Duration::from_millis(50);

/// Makes one step. A caller that does not wait as long is the earlier limit.
async fn step(raft: &Handle, change: Change, context: &CallContext) -> Result<Survey, ChangeError> {
    let latest = Instant::now() + CHANGE_DEADLINE;
    let deadline = Some(context.deadline.map_or(latest, |asked| asked.min(latest)));
    raft.change(change, CallContext { deadline, ..context.clone() }).await
}
