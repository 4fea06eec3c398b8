//! Heartbeats: one long-lived stream a peer, each request followed by its reply.
//!
//! openraft asks for a stream a heartbeat. To open one costs more than all else that an idle group does, so the requests
//! of all of them share one. What goes wrong, a heartbeat that openraft gives up on among it, drops the shared stream:
//! no reply is ever taken for that of another request.

use futures::{Stream, StreamExt};
use openraft::raft::{AppendEntriesRequest, StreamAppendResult};
use openraft::{AsyncRuntime, OptionalSend};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::append::{Replies, closed};
use super::{FrameError, Peer, unreachable};
use crate::raft::record::{AppendMessage, AppendReply};
use crate::raft::types::TypeConfig;
use helixflow_proto::v1::RaftFrame;

/// Heartbeats that wait to be sent: there is never more than the one whose reply is awaited.
const WAITING: usize = 1;

/// The stream that heartbeats share, once it is open.
#[derive(Default)]
pub(super) struct Line(Option<Open>);

struct Open {
    requests: mpsc::Sender<RaftFrame>,
    replies: Streaming<RaftFrame>,
}

/// Carries one stream of openraft's over the shared one.
pub(super) fn stream<'s, S, R>(peer: &'s Peer, line: &'s mut Line, input: S) -> Replies<'s, R>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig<R>>> + OptionalSend + Unpin + 'static,
    R: AsyncRuntime,
{
    let results = futures::stream::unfold(Some((line, input)), move |state| async move {
        let (line, mut input) = state?;
        let request = input.next().await?;
        Some(match line.exchange(peer, request).await {
            Ok(reply) => {
                let result = StreamAppendResult::<TypeConfig<R>>::from(reply);
                if result.is_err() {
                    // The peer ends a stream with its refusal.
                    *line = Line::default();
                }
                (Ok(result), Some((line, input)))
            }
            Err(status) => (Err(unreachable(&status).into()), None),
        })
    });
    results.boxed()
}

impl Line {
    /// One request and its reply. There is no open stream while the reply is awaited: who gives up leaves none behind.
    async fn exchange<R: AsyncRuntime>(
        &mut self,
        peer: &Peer,
        request: AppendEntriesRequest<TypeConfig<R>>,
    ) -> Result<AppendReply, Status> {
        let message = AppendMessage::try_from(request).map_err(FrameError::from)?;
        let frame = peer.envelope.seal(&message)?;
        let mut open = match self.0.take() {
            Some(open) => open.send(frame)?,
            None => Open::begin(peer, frame).await?,
        };
        let frame = open.replies.message().await?.ok_or_else(closed)?;
        let reply = peer.envelope.open_reply(&frame)?;
        self.0 = Some(open);
        Ok(reply)
    }
}

impl Open {
    /// The first request goes along: the peer answers no stream without one.
    async fn begin(peer: &Peer, first: RaftFrame) -> Result<Self, Status> {
        let (requests, waiting) = mpsc::channel(WAITING);
        let mut client = peer.client()?;
        requests.try_send(first).map_err(|_| closed())?;
        let replies = client.append(ReceiverStream::new(waiting)).await?.into_inner();
        Ok(Self { requests, replies })
    }

    fn send(self, frame: RaftFrame) -> Result<Self, Status> {
        self.requests.try_send(frame).map_err(|_| closed())?;
        Ok(self)
    }
}
