//! How openraft reaches the other coordinators: tonic, on a port of its own.
//!
//! A call that fails is `Unreachable`, never a grant and never retried without a pause. Entries go through [`append`],
//! snapshots through [`transfer`]; everything else is one message and one reply, with a deadline.

mod append;
mod frame;
mod peers;
mod transfer;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use helixflow_model::CoordinatorId;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::storage::Snapshot;
use openraft::{AsyncRuntime, OptionalSend};
use tokio::time::timeout;
use tonic::{Response, Status};

use self::frame::Envelope;
use super::codec::Record;
use super::record::{AppendReply, TransferMessage, TransferReply, VoteMessage, VoteReply};
use super::types::{LeaderId, Member, TypeConfig, Vote};
use helixflow_proto::v1::RaftFrame;

pub(crate) use frame::{FrameError, MAX_FRAME_BYTES, Receiver, disk_of};
pub(crate) use peers::{PeerClient, Peers};

/// Makes clients for openraft; the channels behind them are shared.
pub(crate) struct Network {
    peers: Arc<Peers>,
}

impl Network {
    pub(crate) fn new(peers: Arc<Peers>) -> Self {
        Self { peers }
    }
}

impl<R: AsyncRuntime> RaftNetworkFactory<TypeConfig<R>> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: CoordinatorId, member: &Member) -> Peer {
        self.peers.peer(target, member)
    }
}

/// One other coordinator.
pub(crate) struct Peer {
    client: Result<PeerClient, Status>,
    envelope: Envelope,
}

/// What could not be sent, received or understood.
fn unreachable<R: AsyncRuntime>(error: &Status) -> Unreachable<TypeConfig<R>> {
    Unreachable::new(error)
}

impl Peer {
    fn client(&self) -> Result<PeerClient, Status> {
        self.client.clone()
    }

    /// One message and its reply, within a time.
    pub(super) async fn call<M, A, F>(
        &self,
        message: &M,
        limit: Duration,
        send: impl FnOnce(PeerClient, RaftFrame) -> F,
    ) -> Result<A, Status>
    where
        M: Record,
        A: Record,
        F: Future<Output = Result<Response<RaftFrame>, Status>>,
    {
        let frame = self.envelope.seal(message)?;
        let reply = timeout(limit, send(self.client()?, frame))
            .await
            .map_err(|_| Status::deadline_exceeded("the coordinator did not answer in time"))??;
        Ok(self.envelope.open_reply(reply.get_ref())?)
    }
}

impl<R: AsyncRuntime> RaftNetworkV2<TypeConfig<R>> for Peer {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig<R>>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        let reply: AppendReply =
            append::once(self, request, &option).await.map_err(|status| unreachable(&status))?;
        Ok(StreamAppendResult::<TypeConfig<R>>::from(reply).into())
    }

    fn stream_append<'s, S>(&'s mut self, input: S, option: RPCOption) -> BoxFuture<'s, append::Opened<'s, R>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig<R>>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(append::stream(self, input, option))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        let send = |mut client: PeerClient, frame| async move { client.vote(frame).await };
        let reply = self.call::<VoteMessage, VoteReply, _>(&request.into(), option.soft_ttl(), send).await;
        Ok(reply.map_err(|status| unreachable(&status))?.into())
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        let send = |mut client: PeerClient, frame| async move { client.pre_vote(frame).await };
        let reply = self.call::<VoteMessage, VoteReply, _>(&request.into(), option.soft_ttl(), send).await;
        Ok(reply.map_err(|status| unreachable(&status))?.into())
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<LeaderId, CoordinatorId, Member, Bytes>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig<R>>, StreamingError<TypeConfig<R>>> {
        tokio::select! {
            sent = transfer::send(self, vote, snapshot.meta, snapshot.snapshot) => {
                let reply = sent.map_err(|status| unreachable(&status))?;
                Ok(SnapshotResponse::new(reply.vote.into()))
            }
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig<R>>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        let send = |mut client: PeerClient, frame| async move { client.transfer_leader(frame).await };
        let reply =
            self.call::<TransferMessage, TransferReply, _>(&request.into(), option.soft_ttl(), send).await;
        Ok(reply.map_err(|status| unreachable(&status))?.into())
    }
}
