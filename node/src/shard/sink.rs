//! The engine's side of a stream: makes messages of events on the engine's thread, and never waits.
//!
//! The messages go into a bounded channel. A client that reads more slowly than the engine writes has as much room as
//! its whole answer needs, up to [`MOST_UNREAD`]; one that falls further behind loses its stream, so that it can
//! neither hold back the others nor fill the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use helixflow_engine::Sink;
use helixflow_engine::schedule::{Event, Failure, Verdict};
use helixflow_model::{FinishReason, Sampling};
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1;
use helixflow_proto::v1::generate_response::Event as Wire;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Status;

use super::choice::{Choice, Token, message};
use super::meter::Meter;

/// Messages that a client may leave unread: minutes of one choice, about a megabyte.
pub(super) const MOST_UNREAD: usize = 4096;

/// What goes over the channel.
pub(super) type Item = Result<v1::GenerateResponse, Status>;

/// Receives the events of one request.
pub(super) struct TokenSink {
    choices: Vec<Choice>,
    items: mpsc::Sender<Item>,
    /// Set when the channel was full.
    overrun: Arc<AtomicBool>,
    meter: Meter,
    began: Instant,
    /// When each choice grew last.
    grown: Vec<Option<Instant>>,
}

impl TokenSink {
    pub(super) fn new(
        choices: Vec<Choice>,
        items: mpsc::Sender<Item>,
        overrun: Arc<AtomicBool>,
        meter: Meter,
    ) -> Self {
        let grown = vec![None; choices.len()];
        Self { choices, items, overrun, meter, began: Instant::now(), grown }
    }

    /// The room that a channel needs so that the whole answer fits, within the bound.
    pub(super) fn room(sampling: &Sampling, context: usize) -> usize {
        let tokens = context.min(sampling.max_tokens as usize);
        // Each choice may end with a chunk that was held back and its end; the stream ends with one more.
        let messages = (tokens + 2).saturating_mul(sampling.choices as usize).saturating_add(1);
        messages.min(MOST_UNREAD)
    }

    fn token(&mut self, number: u32, token: Token) -> Verdict {
        self.measure(number);
        let Some(choice) = self.choices.get_mut(number as usize) else { return self.fault() };
        let Ok(grown) = choice.push(token) else { return self.fault() };
        match grown.chunk.map_or(Verdict::Continue, |chunk| self.send(Ok(chunk))) {
            Verdict::Continue if grown.stopped => Verdict::Stop,
            verdict => verdict,
        }
    }

    fn choice_end(&mut self, number: u32, finish: FinishReason) -> Verdict {
        let Some(choice) = self.choices.get_mut(number as usize) else { return self.fault() };
        let mut messages = choice.finish(finish);
        let all_sent = messages.all(|message| self.send(Ok(message)) == Verdict::Continue);
        if all_sent { Verdict::Continue } else { Verdict::Gone }
    }

    fn measure(&mut self, number: u32) {
        let now = Instant::now();
        match self.grown.get_mut(number as usize).and_then(|grown| grown.replace(now)) {
            None => self.meter.first_token(now.saturating_duration_since(self.began)),
            Some(before) => self.meter.next_token(now.saturating_duration_since(before).max(Duration::ZERO)),
        }
    }

    fn fault(&mut self) -> Verdict {
        self.send(Err(status(
            Reason::Internal,
            "the engine told of a token that this model does not have; report this",
        )));
        Verdict::Gone
    }

    fn send(&mut self, item: Item) -> Verdict {
        match self.items.try_send(item) {
            Ok(()) => Verdict::Continue,
            Err(mpsc::error::TrySendError::Closed(_)) => Verdict::Gone,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.overrun.store(true, Ordering::Release);
                Verdict::Gone
            }
        }
    }
}

impl Sink for TokenSink {
    fn emit(&mut self, event: Event) -> Verdict {
        match event {
            Event::Token { choice, index, token, logprobs } => {
                self.token(choice, Token { index, id: token, logprobs })
            }
            Event::ChoiceEnd { choice, finish } => self.choice_end(choice, finish),
            Event::End { usage } => {
                self.meter.ended(&usage);
                self.send(Ok(message(Wire::End(v1::StreamEnd { usage: Some(usage.into()) }))))
            }
            Event::Failed(failure) => self.send(Err(refusal(&failure))),
        }
    }
}

/// A failure as the caller is told.
pub(super) fn refusal(failure: &Failure) -> Status {
    let reason = match failure {
        Failure::Logits(_) => Reason::Internal,
        Failure::Cancelled
        | Failure::Compute(_)
        | Failure::Accounts
        | Failure::Panicked
        | Failure::ShutDown => Reason::NoReplica,
    };
    status(reason, failure.to_string())
}

#[cfg(test)]
mod tests {
    use helixflow_model::{ModelId, TokenId};
    use helixflow_text::{TokenType, Tokenizer, Vocabulary};

    use super::*;

    fn sink(room: usize) -> (TokenSink, mpsc::Receiver<Item>, Arc<AtomicBool>) {
        let vocabulary = Vocabulary {
            model: "llama".to_owned(),
            tokens: ["<unk>", "<s>", "</s>", "a", "b"].map(str::to_owned).to_vec(),
            token_types: [TokenType::Unknown, TokenType::Control, TokenType::Control]
                .into_iter()
                .chain([TokenType::Normal; 2])
                .collect(),
            scores: vec![0.0; 5],
            ..Vocabulary::default()
        };
        let tokenizer = Arc::new(Tokenizer::new(&vocabulary).expect("a sound vocabulary"));
        let choice = Choice::new(0, &tokenizer, &Sampling::default(), &[]).expect("a new choice");
        let (items, read) = mpsc::channel(room);
        let overrun = Arc::new(AtomicBool::new(false));
        let meter = Meter::new(&ModelId::new("m").expect("a valid name"));
        (TokenSink::new(vec![choice], items, Arc::clone(&overrun), meter), read, overrun)
    }

    fn token(index: u32, id: u32) -> Event {
        Event::Token { choice: 0, index, token: TokenId(id), logprobs: None }
    }

    #[test]
    fn a_client_that_falls_too_far_behind_loses_its_stream_and_no_other() {
        let (mut slow, _unread, overrun) = sink(2);
        assert_eq!(slow.emit(token(0, 3)), Verdict::Continue);
        assert_eq!(slow.emit(token(1, 4)), Verdict::Continue);
        assert!(!overrun.load(Ordering::Acquire));
        assert_eq!(slow.emit(token(2, 3)), Verdict::Gone);
        assert!(overrun.load(Ordering::Acquire));
    }

    #[test]
    fn a_client_that_went_away_is_noticed_at_the_next_token() {
        let (mut sink, read, overrun) = sink(2);
        drop(read);
        assert_eq!(sink.emit(token(0, 3)), Verdict::Gone);
        assert!(!overrun.load(Ordering::Acquire));
    }

    #[test]
    fn a_token_that_the_model_does_not_have_ends_the_stream_with_a_fault() {
        let (mut sink, mut read, _) = sink(2);
        assert_eq!(sink.emit(token(0, 5)), Verdict::Gone);
        let status = read.try_recv().expect("a last word").expect_err("a fault");
        assert_eq!(Reason::of(&status).as_deref(), Some("INTERNAL"));
    }

    #[test]
    fn the_whole_answer_has_room_within_the_bound() {
        let sampling = |max_tokens, choices| Sampling { max_tokens, choices, ..Sampling::default() };
        assert_eq!(TokenSink::room(&sampling(10, 2), 100), 25);
        assert_eq!(TokenSink::room(&sampling(u32::MAX, 1), 100), 103);
        assert_eq!(TokenSink::room(&sampling(u32::MAX, 16), usize::MAX), MOST_UNREAD);
    }
}
