//! The Raft port's service: opens frames, hands them to openraft, and notes when a leader was heard.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt;
use futures::future::try_join_all;
use futures::stream::BoxStream;
use helixflow_proto::context::place_under;
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::raft_service_server::RaftService;
use helixflow_proto::v1::snapshot_chunk::Part;
use helixflow_proto::v1::{DescribeRequest, DescribeResponse, RaftFrame, SnapshotChunk};
use openraft::raft::AppendEntriesRequest;
use openraft::storage::Snapshot;
use tokio::time::{Instant, timeout};
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use super::change::change;
use super::codec::Record;
use super::describe::answer;
use super::group::Group;
use super::network::{FrameError, OpenFrame, Receiver};
use super::platform::Platform;
use super::record::{
    AppendMessage, AppendReply, ChangeMessage, ForwardedWrite, ProposeMessage, ProposeReply,
    ReadIndexMessage, SnapshotHeader, SnapshotReply, TransferMessage, TransferReply, UnreadableEntry,
    VoteMessage, VoteReply,
};
use super::types::TypeConfig;

/// The longest wait for the next chunk of a snapshot.
const CHUNK_DEADLINE: Duration = Duration::from_secs(10);
/// The largest snapshot taken in: far above a full state, so that a sender gone wrong cannot fill the memory.
const MAX_SNAPSHOT_BYTES: u64 = 256 << 20;

/// Serves the other coordinators.
pub(super) struct Server<R: Platform> {
    group: Arc<Group<R>>,
}

impl<R: Platform> Server<R> {
    pub(super) fn new(group: Arc<Group<R>>) -> Self {
        Self { group }
    }

    fn us(&self) -> Receiver {
        self.group.us()
    }

    fn open<T: Record>(&self, frame: &RaftFrame) -> Result<OpenFrame<T>, Status> {
        Ok(self.us().open(frame).inspect_err(|error| self.group.note_misdirected(error))?)
    }
}

/// openraft has stopped: the process is about to end.
fn stopped(error: impl std::fmt::Display) -> Status {
    status(Reason::Draining, format!("this coordinator's Raft has stopped: {error}; ask another coordinator"))
}

#[tonic::async_trait]
impl<R: Platform> RaftService for Server<R> {
    async fn describe(
        &self,
        request: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        let has_log = self.group.raft().is_initialized().await.map_err(stopped)?;
        Ok(Response::new(answer(&self.group, request.get_ref(), has_log)))
    }

    async fn pre_vote(&self, request: Request<RaftFrame>) -> Result<Response<RaftFrame>, Status> {
        let open = self.open::<VoteMessage>(request.get_ref())?;
        metrics::counter!("helixflow_raft_pre_votes_received").increment(1);
        let response = self.group.raft().pre_vote(open.record.into()).await.map_err(stopped)?;
        Ok(Response::new(self.us().reply(open.from, &VoteReply::from(response))?))
    }

    async fn vote(&self, request: Request<RaftFrame>) -> Result<Response<RaftFrame>, Status> {
        let open = self.open::<VoteMessage>(request.get_ref())?;
        metrics::counter!("helixflow_raft_votes_received").increment(1);
        let response = self.group.raft().vote(open.record.into()).await.map_err(stopped)?;
        Ok(Response::new(self.us().reply(open.from, &VoteReply::from(response))?))
    }

    type AppendStream = BoxStream<'static, Result<RaftFrame, Status>>;

    async fn append(
        &self,
        request: Request<Streaming<RaftFrame>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let us = self.us();
        let mut frames = request.into_inner();
        let Some(first) = frames.message().await? else {
            return Err(status(Reason::InvalidParameter, "an append stream without a message"));
        };
        let first = self.open::<AppendMessage>(&first)?;
        let from = first.from;
        let first = self.group.entries(first.record)?;
        // A frame that cannot be read ends the stream: the leader sees its reply missing and begins anew. An entry that
        // cannot be read ends the process.
        let open = OpenStream(Arc::clone(&self.group));
        let rest = frames.map(move |frame| open.0.entries(us.open::<AppendMessage>(&frame?)?.record));
        let readable = rest
            .inspect(|entries: &Result<_, Status>| {
                if let Err(error) = entries {
                    tracing::warn!(error = error.message(), "an append stream ended");
                }
            })
            .take_while(|entries| std::future::ready(entries.is_ok()))
            .filter_map(|entries| std::future::ready(entries.ok()));
        let input = futures::stream::once(std::future::ready(first)).chain(readable);
        let group = Arc::clone(&self.group);
        let replies = group.raft().stream_append(input).map(move |result| {
            let result = result.map_err(stopped)?;
            if result.is_ok() {
                group.heard_leader(Instant::now());
            }
            Ok(us.reply(from, &AppendReply::from(result))?)
        });
        Ok(Response::new(replies.boxed()))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<SnapshotChunk>>,
    ) -> Result<Response<RaftFrame>, Status> {
        let mut chunks = request.into_inner();
        let Some(Part::Header(header)) = next_part(&mut chunks).await? else {
            return Err(status(Reason::InvalidParameter, "a snapshot without a header"));
        };
        let open = self.open::<SnapshotHeader>(&header)?;
        let SnapshotHeader { vote, meta, bytes } = open.record;
        let data = collect(&mut chunks, bytes).await?;
        let meta = meta.try_into().map_err(|e| Status::from(FrameError::Entry(Box::new(e))))?;
        let snapshot = Snapshot { meta, snapshot: data.freeze() };
        let response =
            self.group.raft().install_full_snapshot(vote.into(), snapshot).await.map_err(stopped)?;
        metrics::counter!("helixflow_raft_snapshots_received").increment(1);
        Ok(Response::new(self.us().reply(open.from, &SnapshotReply { vote: response.vote.into() })?))
    }

    async fn transfer_leader(&self, request: Request<RaftFrame>) -> Result<Response<RaftFrame>, Status> {
        let open = self.open::<TransferMessage>(request.get_ref())?;
        let response = self.group.raft().handle_transfer_leader(open.record.into()).await.map_err(stopped)?;
        Ok(Response::new(self.us().reply(open.from, &TransferReply::from(response))?))
    }

    async fn propose(&self, request: Request<RaftFrame>) -> Result<Response<RaftFrame>, Status> {
        let open = self.open::<ProposeMessage>(request.get_ref())?;
        // All at once: they wait for one batch of the log.
        let writes = open.record.writes.into_iter().map(|forwarded| {
            let ForwardedWrite { request_id, traceparent, write } = forwarded;
            let span = tracing::info_span!("write", %request_id);
            place_under(&span, traceparent.as_deref());
            self.group.write(write).instrument(span)
        });
        let answers = try_join_all(writes).await.map_err(stopped)?;
        Ok(Response::new(self.us().reply(open.from, &ProposeReply { answers })?))
    }

    async fn read_index(&self, request: Request<RaftFrame>) -> Result<Response<RaftFrame>, Status> {
        let open = self.open::<ReadIndexMessage>(request.get_ref())?;
        let reply = self.group.read_index().await.map_err(stopped)?;
        Ok(Response::new(self.us().reply(open.from, &reply)?))
    }

    async fn change(&self, request: Request<RaftFrame>) -> Result<Response<RaftFrame>, Status> {
        let open = self.open::<ChangeMessage>(request.get_ref())?;
        let reply = change(&self.group, open.record.change).await.map_err(stopped)?;
        Ok(Response::new(self.us().reply(open.from, &reply)?))
    }
}

/// A stream of appends, until it ends.
struct OpenStream<R: Platform>(Arc<Group<R>>);

impl<R: Platform> Drop for OpenStream<R> {
    fn drop(&mut self) {
        self.0.stream_ended();
    }
}

impl<R: Platform> Group<R> {
    /// The entries of an append; one that cannot be read ends this coordinator.
    fn entries(&self, message: AppendMessage) -> Result<AppendEntriesRequest<TypeConfig<R>>, Status> {
        let request: AppendEntriesRequest<TypeConfig<R>> =
            message.try_into().map_err(|unreadable: UnreadableEntry| {
                let answer = stopped(&unreadable);
                self.halt(unreadable);
                answer
            })?;
        let first = request.prev_log_id.map_or(0, |previous| previous.index.saturating_add(1));
        // openraft only asserts it, and only in an unoptimised build: a gap in the log would lose what was committed.
        match (first..).zip(&request.entries).find(|(expected, entry)| *expected != entry.log_id.index) {
            Some((missing, _)) => Err(FrameError::Gap { missing }.into()),
            None => Ok(request),
        }
    }
}

async fn next_part(chunks: &mut Streaming<SnapshotChunk>) -> Result<Option<Part>, Status> {
    let chunk = timeout(CHUNK_DEADLINE, chunks.message())
        .await
        .map_err(|_| status(Reason::DeadlineExceeded, "the next chunk of the snapshot is late"))??;
    Ok(chunk.and_then(|chunk| chunk.part))
}

async fn collect(chunks: &mut Streaming<SnapshotChunk>, expected: u64) -> Result<BytesMut, Status> {
    if expected > MAX_SNAPSHOT_BYTES {
        let message = format!("a snapshot of {expected} bytes; this build takes {MAX_SNAPSHOT_BYTES}");
        return Err(status(Reason::InvalidParameter, message));
    }
    let mut data = BytesMut::new();
    while let Some(Part::Data(chunk)) = next_part(chunks).await? {
        data.extend_from_slice(&chunk);
        if data.len() as u64 > expected {
            break;
        }
    }
    if data.len() as u64 == expected {
        return Ok(data);
    }
    let message = format!("a snapshot of {expected} bytes came with {}; send it again", data.len());
    Err(status(Reason::InvalidParameter, message))
}
