//! Group commit: the writes that wait go into the log together.
//!
//! One write costs a sync, a message to each follower and a dozen wake-ups whether it goes alone or with a hundred others.

use futures::{TryStreamExt, stream};
use helixflow_policy::state::Proposal;
use openraft::errors::Fatal;
use openraft::raft::WriteResult;

use super::batches::Batches;
use super::codec::size;
use super::group::Raft;
use super::platform::Platform;
use super::types::TypeConfig;

/// What became of a write: not even tried where Raft has ended.
type Answer<R> = Result<WriteResult<TypeConfig<R>>, Fatal<TypeConfig<R>>>;

/// The way into the log for all writes of this coordinator.
pub(super) struct GroupCommit<R: Platform>(Batches<Proposal, Answer<R>>);

impl<R: Platform> GroupCommit<R> {
    /// Into the log of `raft`, on the current runtime.
    pub(super) fn over(raft: Raft<R>) -> Self {
        Self(Batches::sent_by(move |proposals| {
            let raft = raft.clone();
            stream::once(async move { raft.client_write_many(proposals).await }).try_flatten()
        }))
    }

    /// Appends a write where this coordinator leads, and waits until it is applied.
    pub(super) async fn write(&self, proposal: Proposal) -> Answer<R> {
        let bytes = size(&proposal);
        self.0.submit(proposal, bytes).await.unwrap_or(Err(Fatal::Stopped))
    }
}
