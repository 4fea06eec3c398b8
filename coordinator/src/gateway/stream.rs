//! A stream on its way from a node to a client: checked for its end, bounded in time, counted.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use futures::future::BoxFuture;
use helixflow_model::NodeId;
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::GenerateResponse;
use helixflow_proto::v1::generate_response::Event;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::meter::Meter;
use super::refusal::{lost, told};
use super::snapshot::UnderWay;

/// How long streams may go on once the process is to end; the process itself waits a little longer.
const GRACE: Duration = Duration::from_secs(2);

/// A stream that has begun.
pub(super) struct Opened {
    pub(super) first: GenerateResponse,
    pub(super) rest: Streaming<GenerateResponse>,
}

/// How long a stream may go on.
pub(super) struct Term {
    pub(super) deadline: Option<Instant>,
    pub(super) stop: CancellationToken,
}

impl Term {
    /// Waits for the end of the term; the status says which end it was.
    async fn over(self) -> Status {
        let late = async {
            match self.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let going_away = async {
            self.stop.cancelled().await;
            sleep(GRACE).await;
        };
        tokio::select! {
            () = late => status(Reason::DeadlineExceeded, "the deadline passed while tokens were being made"),
            () = going_away => {
                status(Reason::Draining, "this coordinator is going away: send the request to another")
            }
        }
    }
}

/// A node's stream as the client sees it. Dropping it ends the request on the node.
pub(super) struct Relay {
    first: Option<GenerateResponse>,
    rest: Streaming<GenerateResponse>,
    node: NodeId,
    term: BoxFuture<'static, Status>,
    meter: Meter,
    is_over: bool,
    /// Until the stream is over: a client may hold on to it for longer.
    under_way: Option<UnderWay>,
    _permit: OwnedSemaphorePermit,
}

impl Relay {
    pub(super) fn new(
        opened: Opened,
        node: NodeId,
        term: Term,
        meter: Meter,
        (permit, under_way): (OwnedSemaphorePermit, Option<UnderWay>),
    ) -> Self {
        Self {
            first: Some(opened.first),
            rest: opened.rest,
            node,
            term: Box::pin(term.over()),
            meter,
            is_over: false,
            under_way,
            _permit: permit,
        }
    }

    fn count(&mut self, message: &GenerateResponse) {
        match &message.event {
            Some(Event::Chunk(chunk)) => {
                if let Some(under_way) = &mut self.under_way {
                    under_way.answered();
                }
                self.meter.tokens(chunk.token_ids.len(), Instant::now());
            }
            Some(Event::End(_)) => {
                self.end();
                self.meter.end(None);
            }
            Some(Event::Start(_) | Event::ChoiceEnd(_)) | None => {}
        }
    }

    fn end(&mut self) {
        self.is_over = true;
        self.under_way = None;
    }

    fn fail(&mut self, status: Status) -> Status {
        tracing::info!(node = %self.node, %status, "a stream failed");
        self.end();
        self.meter.end(Some(&status));
        status
    }
}

impl Stream for Relay {
    type Item = Result<GenerateResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(status) = self.term.as_mut().poll(cx) {
            return Poll::Ready(Some(Err(self.fail(status))));
        }
        let next = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => ready!(Pin::new(&mut self.rest).poll_next(cx)),
        };
        let node = self.node;
        Poll::Ready(Some(match next {
            Some(Ok(message)) => {
                self.count(&message);
                Ok(message)
            }
            Some(Err(status)) => Err(self.fail(told(&status, node))),
            None => Err(self.fail(lost(node))),
        }))
    }
}
