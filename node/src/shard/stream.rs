//! The client's side of a stream: the start, then the engine's messages, until the end or the deadline.
//!
//! Dropping it, as a server does when its client goes away, drops the request's handle: the engine frees the sequence
//! within one step.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::Stream;
use helixflow_engine::RequestHandle;
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1;
use helixflow_proto::v1::generate_response::Event;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tonic::Status;

use super::choice::message;
use super::sink::{Item, MOST_UNREAD};

/// One request's messages.
pub(crate) struct TokenStream {
    start: Option<v1::StreamStart>,
    items: mpsc::Receiver<Item>,
    overrun: Arc<AtomicBool>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Dropped with the last message, which cancels what still runs.
    running: Option<RequestHandle>,
}

impl TokenStream {
    pub(super) fn new(
        start: v1::StreamStart,
        items: mpsc::Receiver<Item>,
        overrun: Arc<AtomicBool>,
        deadline: Option<Instant>,
        running: RequestHandle,
    ) -> Self {
        let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        Self { start: Some(start), items, overrun, deadline, running: Some(running) }
    }

    fn end(&mut self, item: Item) -> Poll<Option<Item>> {
        self.running = None;
        Poll::Ready(Some(item))
    }

    /// The engine let go of the stream without a last word.
    fn broken(&self) -> Status {
        if self.overrun.load(Ordering::Acquire) {
            let words =
                format!("{MOST_UNREAD} messages wait to be read; read faster, or ask for fewer tokens");
            return status(Reason::QueueFull, words);
        }
        status(Reason::NoReplica, "the engine has ended; send the request to another replica")
    }
}

impl Stream for TokenStream {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        if self.running.is_none() {
            return Poll::Ready(None);
        }
        if let Some(start) = self.start.take() {
            return Poll::Ready(Some(Ok(message(Event::Start(start)))));
        }
        if self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready()) {
            return self.end(Err(status(
                Reason::DeadlineExceeded,
                "the deadline passed while tokens were being made",
            )));
        }
        match std::task::ready!(self.items.poll_recv(cx)) {
            Some(Ok(item)) if matches!(item.event, Some(Event::End(_))) => self.end(Ok(item)),
            Some(Ok(item)) => Poll::Ready(Some(Ok(item))),
            Some(Err(status)) => self.end(Err(status)),
            None => {
                let broken = self.broken();
                self.end(Err(broken))
            }
        }
    }
}
