//! A stream on its way from a node to a client: checked for its end, bounded by its deadline, counted.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use helixflow_model::{ModelId, NodeId};
use helixflow_proto::context::CallContext;
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::generate_response::Event;
use helixflow_proto::v1::{GenerateResponse, StreamStart};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Status, Streaming};

use super::dispatch::Taken;
use super::meter::Meter;
use super::refusal::lost;

/// A node's stream, told in the gateway's words. Dropping it ends the request on the node.
pub(super) struct Relay {
    messages: Streaming<GenerateResponse>,
    model: ModelId,
    version: String,
    node: NodeId,
    request_id: String,
    deadline: Option<Pin<Box<Sleep>>>,
    meter: Meter,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Relay {
    pub(super) fn new(
        taken: Taken<Streaming<GenerateResponse>>,
        model: ModelId,
        context: &CallContext,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            messages: taken.answer,
            meter: Meter::start(&model, Instant::now()),
            model,
            version: taken.version,
            node: taken.node,
            request_id: context.request_id.to_string(),
            deadline: context.deadline.map(|deadline| Box::pin(sleep_until(deadline))),
            over: false,
            _permit: permit,
        }
    }

    /// What the node sent, with the names that clients know.
    fn tell(&mut self, mut message: GenerateResponse) -> GenerateResponse {
        match &mut message.event {
            Some(Event::Start(start)) => self.introduce(start),
            Some(Event::Chunk(chunk)) => self.meter.tokens(chunk.token_ids.len(), Instant::now()),
            Some(Event::End(_)) => {
                self.over = true;
                self.meter.end("ok", Instant::now());
            }
            Some(Event::ChoiceEnd(_)) | None => {}
        }
        message
    }

    fn introduce(&self, start: &mut StreamStart) {
        start.request_id.clone_from(&self.request_id);
        start.model = self.model.to_string();
        start.model_version.clone_from(&self.version);
    }

    fn fail(&mut self, status: Status) -> Status {
        self.over = true;
        self.meter.end(code_label(&status), Instant::now());
        status
    }
}

impl Stream for Relay {
    type Item = Result<GenerateResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let late = self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
        if late {
            let late = status(Reason::DeadlineExceeded, "the deadline passed while tokens were being made");
            return Poll::Ready(Some(Err(self.fail(late))));
        }
        let item = std::task::ready!(Pin::new(&mut self.messages).poll_next(cx));
        let node = self.node;
        Poll::Ready(Some(match item {
            Some(Ok(message)) => Ok(self.tell(message)),
            Some(Err(status)) if Reason::of(&status).is_some() => Err(self.fail(status)),
            Some(Err(_)) | None => Err(self.fail(lost(node))),
        }))
    }
}

fn code_label(status: &Status) -> &'static str {
    match status.code() {
        tonic::Code::Unavailable => "unavailable",
        tonic::Code::DeadlineExceeded => "deadline_exceeded",
        tonic::Code::ResourceExhausted => "resource_exhausted",
        _ => "error",
    }
}
