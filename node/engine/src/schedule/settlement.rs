//! What becomes of a computed step: full pages are kept, tokens chosen and told, choices ended.

use std::collections::BTreeSet;

use helixflow_model::FinishReason;

use super::event::{Event, Failure, Verdict};
use super::plan::Span;
use super::request::RequestNumber;
use super::scheduler::{Deliver, Scheduler, count};
use super::sequence::Place;
use crate::sampling::{Chosen, Draw, NoCandidate, Rules};

impl Scheduler {
    /// Notes what was computed and chooses a token for each sequence that is complete. Returns how many were chosen.
    pub(super) fn settle(&mut self, spans: &[Span<Place>], deliver: Deliver<'_>) -> usize {
        for span in spans {
            if let Some(running) = self.running.get_mut(&span.key) {
                running.advance(span.rows, &mut self.pool);
            }
        }
        let output = std::mem::take(&mut self.output);
        let complete = spans.iter().filter(|span| span.complete);
        let mut tokens = 0;
        for (span, logits) in complete.zip(output.logits.chunks_exact(self.bounds.vocabulary)) {
            // None when a choice of the same request has just ended the whole request.
            let Some(chosen) = self.choose(span.key, logits) else { continue };
            match chosen {
                Ok(chosen) => tokens += usize::from(self.take_token(span.key, chosen, deliver)),
                Err(error) => self.fail(span.key.request, error.into(), deliver),
            }
        }
        self.output = output;
        tokens
    }

    fn choose(&mut self, place: Place, logits: &[f32]) -> Option<Result<Chosen, NoCandidate>> {
        let request = self.requests.get(&place.request)?;
        let history = &self.running.get(&place)?.history;
        let none = BTreeSet::new();
        let generated = history.generated();
        let rules = Rules {
            sampling: &request.sampling,
            seen: history.seen().unwrap_or(&none),
            masked: request.ending.masked(generated),
            draw: Draw { seed: request.seed, choice: place.choice, index: count(generated) },
        };
        Some(self.sampler.choose(logits, &rules))
    }

    /// Appends a token to its sequence, or ends it. True when the stream has grown.
    fn take_token(&mut self, place: Place, chosen: Chosen, deliver: Deliver<'_>) -> bool {
        let (Some(request), Some(running)) =
            (self.requests.get_mut(&place.request), self.running.get_mut(&place))
        else {
            return false;
        };
        if request.ending.is_end(chosen.token) {
            self.end_choice(place, FinishReason::EndOfSequence, deliver);
            return false;
        }
        let index = count(running.history.generated());
        running.history.push(chosen.token);
        request.usage.generated += 1;
        let full = request.ending.is_full(running.history.generated());
        let Chosen { token, logprobs } = chosen;
        match deliver(place.request, Event::Token { choice: place.choice, index, token, logprobs }) {
            Verdict::Gone => drop(self.cancel(place.request)),
            Verdict::Stop => self.end_choice(place, FinishReason::Stop, deliver),
            Verdict::Continue if full => self.end_choice(place, FinishReason::Length, deliver),
            Verdict::Continue => {}
        }
        true
    }

    /// Ends a choice, and with the last one its request.
    pub(super) fn end_choice(&mut self, place: Place, finish: FinishReason, deliver: Deliver<'_>) {
        let number = place.request;
        self.waiting.remove(&place);
        if let Some(running) = self.running.remove(&place) {
            self.pool.release(running.table);
        }
        let Some(request) = self.requests.get_mut(&number) else { return };
        request.open.remove(&place);
        let (last, usage) = (request.open.is_empty(), request.usage);
        if deliver(number, Event::ChoiceEnd { choice: place.choice, finish }) == Verdict::Gone {
            self.cancel(number);
        } else if last {
            self.requests.remove(&number);
            deliver(number, Event::End { usage });
        }
    }

    fn fail(&mut self, number: RequestNumber, failure: Failure, deliver: Deliver<'_>) {
        if self.cancel(number) {
            deliver(number, Event::Failed(failure));
        }
    }
}
