//! Appends: one stream of requests and replies a peer, pipelined, with a deadline of progress.
//!
//! The next request goes out while the follower still syncs the last one. The stream may be idle as long as it likes;
//! only a reply that is owed is waited for with a deadline. Heartbeats go by [`super::heartbeat`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use openraft::errors::RPCError;
use openraft::network::RPCOption;
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use openraft::{AsyncRuntime, OptionalSend};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::frame::Envelope;
use super::{Peer, unreachable};
use crate::raft::log::FirstKept;
use crate::raft::record::{AppendMessage, AppendReply};
use crate::raft::types::TypeConfig;
use helixflow_proto::v1::RaftFrame;

/// The longest wait for the next reply that is owed. Longer than a slow disk's sync: a stream that is given up sends
/// everything again.
const PROGRESS: Duration = Duration::from_secs(1);

/// The replies, in the order of the requests.
pub(super) type Replies<'s, R> =
    BoxStream<'s, Result<StreamAppendResult<TypeConfig<R>>, RPCError<TypeConfig<R>>>>;
/// A stream that was opened, or why not.
pub(super) type Opened<'s, R> = Result<Replies<'s, R>, RPCError<TypeConfig<R>>>;

/// Opens the stream: `input` goes out as openraft makes it, replies come back as the follower makes them durable.
///
/// The first request is awaited before the peer is called: openraft rests there after an error. Without that, a peer
/// whose process is gone refuses connections as fast as they can be tried.
pub(super) async fn stream<'s, S, R>(
    peer: &'s Peer,
    log: FirstKept,
    mut input: S,
    option: RPCOption,
) -> Opened<'s, R>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig<R>>> + OptionalSend + Unpin + 'static,
    R: AsyncRuntime,
{
    let Some(first) = input.next().await else {
        return Ok(futures::stream::empty().boxed());
    };
    let input = futures::stream::once(std::future::ready(first)).chain(input);
    let sent = Arc::new(AtomicU64::new(0));
    let replies =
        open(peer, log, input, &option, Arc::clone(&sent)).await.map_err(|status| unreachable(&status))?;
    let state = Some(Pipeline { replies, envelope: peer.envelope, sent, received: 0 });
    let results = futures::stream::unfold(state, |state| async move {
        let mut pipeline = state?;
        match pipeline.next().await? {
            Ok(reply) => {
                let result: StreamAppendResult<TypeConfig<R>> = reply.into();
                let rest = result.is_ok().then_some(pipeline);
                Some((Ok(result), rest))
            }
            Err(status) => Some((Err(unreachable(&status).into()), None)),
        }
    });
    Ok(results.boxed())
}

/// One request and its reply.
pub(super) async fn once<R: AsyncRuntime>(
    peer: &Peer,
    log: &FirstKept,
    request: AppendEntriesRequest<TypeConfig<R>>,
    option: &RPCOption,
) -> Result<AppendReply, Status> {
    let sent = Arc::new(AtomicU64::new(0));
    let input = futures::stream::once(std::future::ready(request));
    let replies = open(peer, log.clone(), input, option, Arc::clone(&sent)).await?;
    let mut pipeline = Pipeline { replies, envelope: peer.envelope, sent, received: 0 };
    pipeline.next().await.unwrap_or_else(|| Err(closed()))
}

/// A stream that ended while a reply was owed.
pub(super) fn closed() -> Status {
    Status::unavailable("the coordinator closed the stream without an answer")
}

async fn open<S, R>(
    peer: &Peer,
    log: FirstKept,
    input: S,
    option: &RPCOption,
    sent: Arc<AtomicU64>,
) -> Result<Streaming<RaftFrame>, Status>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig<R>>> + OptionalSend + 'static,
    R: AsyncRuntime,
{
    let envelope = peer.envelope;
    let frames = input.filter_map(move |request| {
        sent.fetch_add(1, Ordering::Relaxed);
        if is_outrun(&request, &log) {
            return std::future::ready(None);
        }
        let frame = AppendMessage::try_from(request).map_err(Into::into).and_then(|m| envelope.seal(&m));
        // A request that does not encode ends the call: its reply then never comes, and openraft tries anew.
        std::future::ready(frame.inspect_err(|error| tracing::error!(%error, "an append was not sent")).ok())
    });
    let mut client = peer.client()?;
    let opened = timeout(option.soft_ttl().max(PROGRESS), client.append(frames)).await;
    let late = |_| Status::deadline_exceeded("the coordinator did not open the stream in time");
    Ok(opened.map_err(late)??.into_inner())
}

/// Whether what should follow is purged already: openraft can go on with a range that it planned before an error, while
/// the purge went on too. Nothing is sent then; the reply that never comes ends the stream, and openraft, which plans
/// anew, sends a snapshot.
fn is_outrun<R: AsyncRuntime>(request: &AppendEntriesRequest<TypeConfig<R>>, log: &FirstKept) -> bool {
    let next = request.prev_log_id.map_or(0, |previous| previous.index.saturating_add(1));
    request.entries.is_empty() && log.is_gone(next)
}

/// Requests on their way and the replies to them.
struct Pipeline {
    replies: Streaming<RaftFrame>,
    envelope: Envelope,
    sent: Arc<AtomicU64>,
    received: u64,
}

impl Pipeline {
    /// The next reply; none when the stream has ended.
    async fn next(&mut self) -> Option<Result<AppendReply, Status>> {
        loop {
            let owed = self.sent.load(Ordering::Relaxed) > self.received;
            let received = match timeout(PROGRESS, self.replies.message()).await {
                Ok(received) => received,
                // Nothing was owed when the wait began, so nothing is late yet.
                Err(_) if !owed => continue,
                Err(_) => return Some(Err(Status::deadline_exceeded("the coordinator's reply is late"))),
            };
            self.received += 1;
            let frame = received.transpose()?;
            return Some(frame.and_then(|frame| Ok(self.envelope.open_reply(&frame)?)));
        }
    }
}
