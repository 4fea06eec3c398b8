//! One message to the leader on behalf of a call, and its reply.

use std::future::Future;

use helixflow_model::CoordinatorId;
use helixflow_proto::context::{CallContext, attach};
use helixflow_proto::v1::RaftFrame;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};

use super::codec::Record;
use super::group::Group;
use super::network::PeerClient;
use super::platform::Platform;

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The leader cannot have done what it was asked.
    NotTaken,
    /// It may have.
    Unknown,
}

impl<R: Platform> Group<R> {
    /// Asks `leader`, until the deadline or until another leads: one that was cut off may never answer.
    pub(super) async fn ask<M, A, F>(
        &self,
        leader: CoordinatorId,
        message: &M,
        (context, deadline): (&CallContext, Instant),
        send: impl FnOnce(PeerClient, Request<RaftFrame>) -> F,
    ) -> Result<A, Unanswered>
    where
        M: Record,
        A: Record,
        F: Future<Output = Result<Response<RaftFrame>, Status>>,
    {
        let member = self.member(leader).ok_or(Unanswered::NotTaken)?;
        let send = |client, frame| {
            let mut request = Request::new(frame);
            attach(context, request.metadata_mut());
            send(client, request)
        };
        let limit = deadline.saturating_duration_since(Instant::now());
        let peer = self.peers().peer(leader, &member);
        let reply = tokio::select! {
            biased;
            reply = peer.call(message, limit, send) => reply,
            () = self.another_leads(leader) => return Err(Unanswered::Unknown),
        };
        reply.map_err(|status| {
            tracing::debug!(%status, %leader, "the leader's answer did not come");
            if was_not_taken(&status) { Unanswered::NotTaken } else { Unanswered::Unknown }
        })
    }
}

/// Whether the leader cannot have done what it was asked: no connection was made, or the frame was refused.
pub(super) fn was_not_taken(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    status.code() == Code::FailedPrecondition
}
