//! How openraft reaches the other coordinators: tonic, on a port of its own.
//!
//! A call that fails is `Unreachable`, never a grant and never retried without a pause. Entries go through [`append`],
//! heartbeats through [`heartbeat`], snapshots through [`transfer`]; everything else is one message and one reply, with
//! a deadline.

mod append;
mod frame;
mod heartbeat;
mod peers;
mod probe;
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
use self::heartbeat::Line;
use super::codec::Record;
use super::log::FirstKept;
use super::record::{AppendReply, TransferMessage, TransferReply, VoteMessage, VoteReply};
use super::types::{LeaderId, Member, TypeConfig, Vote};
use helixflow_proto::v1::RaftFrame;

pub(crate) use frame::{FrameError, MAX_FRAME_BYTES, OpenFrame, Receiver, disk_of};
pub(crate) use peers::{PeerClient, Peers};

/// Makes clients for openraft; the channels behind them are shared.
pub(crate) struct Network {
    peers: Arc<Peers>,
    log: FirstKept,
}

impl Network {
    /// Entries come from `log`.
    pub(crate) fn new(peers: Arc<Peers>, log: FirstKept) -> Self {
        Self { peers, log }
    }
}

impl<R: AsyncRuntime> RaftNetworkFactory<TypeConfig<R>> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: CoordinatorId, member: &Member) -> Client {
        Client { peer: self.peers.peer(target, member), log: self.log.clone(), heartbeats: None }
    }

    async fn new_heartbeat_client(&mut self, target: CoordinatorId, member: &Member) -> Client {
        let heartbeats = Some(Line::default());
        Client { peer: self.peers.peer(target, member), log: self.log.clone(), heartbeats }
    }
}

/// One other coordinator.
pub(crate) struct Peer {
    peers: Arc<Peers>,
    /// Where it was when this was made.
    address: String,
    envelope: Envelope,
}

/// What openraft reaches one other coordinator by.
pub(crate) struct Client {
    peer: Peer,
    log: FirstKept,
    /// Where appends are heartbeats, the stream that they share.
    heartbeats: Option<Line>,
}

/// What could not be sent, received or understood.
fn unreachable<R: AsyncRuntime>(error: &Status) -> Unreachable<TypeConfig<R>> {
    Unreachable::new(error)
}

impl Peer {
    fn client(&self) -> Result<PeerClient, Status> {
        self.peers.client(&self.peers.address(self.envelope.to, &self.address))
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

impl<R: AsyncRuntime> RaftNetworkV2<TypeConfig<R>> for Client {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig<R>>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        let reply: AppendReply = append::once(&self.peer, &self.log, request, &option)
            .await
            .map_err(|status| unreachable(&status))?;
        Ok(StreamAppendResult::<TypeConfig<R>>::from(reply).into())
    }

    fn stream_append<'s, S>(&'s mut self, input: S, option: RPCOption) -> BoxFuture<'s, append::Opened<'s, R>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig<R>>> + OptionalSend + Unpin + 'static,
    {
        let Self { peer, log, heartbeats } = self;
        match heartbeats {
            Some(line) => Box::pin(std::future::ready(Ok(heartbeat::stream(peer, line, input)))),
            None => Box::pin(append::stream(peer, log.clone(), input, option)),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        let send = |mut client: PeerClient, frame| async move { client.vote(frame).await };
        let reply =
            self.peer.call::<VoteMessage, VoteReply, _>(&request.into(), option.soft_ttl(), send).await;
        Ok(reply.map_err(|status| unreachable(&status))?.into())
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig<R>>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig<R>>, RPCError<TypeConfig<R>>> {
        let send = |mut client: PeerClient, frame| async move { client.pre_vote(frame).await };
        let reply =
            self.peer.call::<VoteMessage, VoteReply, _>(&request.into(), option.soft_ttl(), send).await;
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
            sent = transfer::send(&self.peer, vote, snapshot.meta, snapshot.snapshot) => {
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
        let reply = self
            .peer
            .call::<TransferMessage, TransferReply, _>(&request.into(), option.soft_ttl(), send)
            .await;
        Ok(reply.map_err(|status| unreachable(&status))?.into())
    }
}
