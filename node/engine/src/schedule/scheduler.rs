//! The state machine: queue, batch, and what becomes of each sampled token.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use helixflow_model::{FinishReason, LoadReport, Sampling, Usage};

use super::event::{Event, Failure, Verdict};
use super::plan::{Budget, Span, plan};
use super::request::{Bounds, Refusal, Request, RequestNumber, positions};
use super::sequence::{History, Place, Running};
use crate::compute::{Batch, Compute, ComputeError, Input, Output, PageId, Row};
use crate::kv::{CacheSalt, Pool};
use crate::sampling::{Chosen, Draw, Ending, NoCandidate, Rules, Sampler};

/// Takes the news of each request, and answers for it.
type Deliver<'a> = &'a mut dyn FnMut(RequestNumber, Event) -> Verdict;

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stepped {
    /// Rows computed.
    pub rows: usize,
    /// Tokens generated.
    pub tokens: usize,
}

/// A step that could not be made. The scheduler must not be used any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The layers could not be computed.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// A sequence needs a page that it has not reserved.
    #[error("a sequence has outgrown its reserved KV pages; report this")]
    Accounts,
}

impl From<StepError> for Failure {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Compute(error) => Self::Compute(error),
            StepError::Accounts => Self::Accounts,
        }
    }
}

/// What the choices of a request have in common.
#[derive(Debug)]
struct Active {
    sampling: Sampling,
    seed: u64,
    salt: CacheSalt,
    ending: Ending,
    usage: Usage,
    /// Places of the choices that are not over.
    open: BTreeSet<Place>,
}

/// All requests of an engine, queued and running.
#[derive(Debug)]
pub struct Scheduler {
    bounds: Bounds,
    budget: Budget,
    pool: Pool,
    requests: BTreeMap<RequestNumber, Active>,
    waiting: BTreeMap<Place, History>,
    running: BTreeMap<Place, Running>,
    sampler: Sampler,
    output: Output,
}

impl Scheduler {
    /// An empty one.
    pub fn new(bounds: Bounds, budget: Budget) -> Self {
        Self {
            bounds,
            budget,
            pool: Pool::new(bounds.pages),
            requests: BTreeMap::new(),
            waiting: BTreeMap::new(),
            running: BTreeMap::new(),
            sampler: Sampler::default(),
            output: Output::default(),
        }
    }

    /// Puts a request into the queue. Numbers must rise: they are the order of arrival.
    pub fn submit(&mut self, number: RequestNumber, request: Request) -> Result<(), Refusal> {
        self.bounds.check(&request)?;
        let Request { prompt, generated, sampling, seed, eos, salt, priority } = request;
        let keep_seen = sampling.repetition_penalty != 1.0;
        let mut open = BTreeSet::new();
        for choice in 0..sampling.choices {
            let place = Place { priority: Reverse(priority), request: number, choice };
            let earlier = generated.get(choice as usize).map_or(&[][..], Vec::as_slice);
            self.waiting.insert(place, History::new(&prompt, earlier, keep_seen));
            open.insert(place);
        }
        let usage = Usage {
            prompt: count(prompt.len()),
            generated: count(generated.iter().map(Vec::len).sum()),
            ..Usage::default()
        };
        let ending = Ending::new(&sampling, &eos, prompt.len(), self.bounds.context);
        self.requests.insert(number, Active { sampling, seed, salt, ending, usage, open });
        Ok(())
    }

    /// Drops a request and frees what it holds. No event. False when it is not, or no longer, here.
    pub fn cancel(&mut self, number: RequestNumber) -> bool {
        let Some(request) = self.requests.remove(&number) else { return false };
        for place in request.open {
            self.waiting.remove(&place);
            if let Some(running) = self.running.remove(&place) {
                self.pool.release(running.table);
            }
        }
        true
    }

    /// Whether any request is here.
    pub fn has_work(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Requests of which a choice still waits for a place in the batch.
    pub fn waiting(&self) -> usize {
        let mut last = None;
        self.waiting.keys().filter(|place| last.replace(place.request) != Some(place.request)).count()
    }

    /// How busy it is; the speed is left at 0, for whoever has a clock.
    pub fn load(&self) -> LoadReport {
        let waiting = self.waiting.iter().map(|(place, history)| {
            let shared = if place.choice == 0 { 0 } else { history.shareable() };
            history.tokens().len() - shared
        });
        let running = self.running.values().map(Running::pending).filter(|&pending| pending > 1);
        LoadReport {
            queued: count(self.waiting()),
            active: count(self.running.len()),
            kv_pages_free: count(self.pool.available()),
            kv_pages_total: count(self.pool.total()),
            prefill_backlog: count(waiting.chain(running).sum()),
            millitokens_per_second: 0,
        }
    }

    /// Runs one batch of what was admitted, and delivers what came of it.
    pub fn step(&mut self, compute: &mut dyn Compute, deliver: Deliver<'_>) -> Result<Stepped, StepError> {
        let pending: Vec<(Place, usize)> =
            self.running.iter().map(|(&place, running)| (place, running.pending())).collect();
        let spans = plan(&pending, self.budget);
        if spans.is_empty() {
            return Ok(Stepped::default());
        }
        self.compute(&spans, compute)?;
        let tokens = self.settle(&spans, deliver);
        Ok(Stepped { rows: spans.iter().map(|span| span.rows).sum(), tokens })
    }

    /// Moves what fits from the queue into the batch; to be called before each step.
    ///
    /// A continued choice that had all of its tokens already ends here.
    pub fn admit(&mut self, deliver: Deliver<'_>) {
        let places: Vec<Place> = self.waiting.keys().copied().collect();
        for place in places {
            if self.is_over(place) {
                self.end_choice(place, FinishReason::Length, deliver);
            } else if self.awaits_leader(place) {
                continue;
            } else if self.running.len() >= self.budget.sequences || !self.try_admit(place) {
                break;
            }
        }
    }

    /// Whether a continued choice already had all of its tokens.
    fn is_over(&self, place: Place) -> bool {
        let (Some(history), Some(request)) = (self.waiting.get(&place), self.requests.get(&place.request))
        else {
            return false;
        };
        request.ending.is_full(history.generated())
    }

    /// Whether the first choice of the request has yet to compute what this one could share.
    fn awaits_leader(&self, place: Place) -> bool {
        let leader = place.leader();
        if place == leader {
            return false;
        }
        match self.running.get(&leader) {
            Some(running) => running.computed < running.history.shareable(),
            None => self.waiting.contains_key(&leader),
        }
    }

    /// Moves a sequence into the batch. False when its pages are not free yet.
    fn try_admit(&mut self, place: Place) -> bool {
        let (Some(history), Some(request)) =
            (self.waiting.get(&place), self.requests.get_mut(&place.request))
        else {
            return true;
        };
        let positions = positions(history.prompt(), &request.ending);
        let Some(table) = self.pool.open(request.salt, history.tokens(), positions) else { return false };
        let Some(history) = self.waiting.remove(&place) else { return true };
        let running = Running::new(history, table);
        let cached = running.computed;
        let (prompt, generated) = (running.history.prompt(), running.history.generated());
        if place.choice == 0 {
            request.usage.cached = count(cached.min(prompt));
        }
        request.usage.replayed += count(generated - cached.saturating_sub(prompt));
        self.running.insert(place, running);
        true
    }

    /// Runs the planned rows.
    fn compute(&mut self, spans: &[Span<Place>], compute: &mut dyn Compute) -> Result<(), StepError> {
        for span in spans {
            let covered = self.running.get_mut(&span.key).is_some_and(|running| {
                let end = running.computed + span.rows;
                self.pool.cover(&mut running.table, end)
            });
            if !covered {
                return Err(StepError::Accounts);
            }
        }
        let sequences = spans.iter().filter_map(|span| Some((span, self.running.get(&span.key)?)));
        let mut rows = Vec::with_capacity(self.budget.rows);
        let mut tables: Vec<&[PageId]> = Vec::with_capacity(spans.len());
        for (span, running) in sequences {
            let next = running.history.tokens().iter().enumerate().skip(running.computed).take(span.rows);
            rows.extend(next.map(|(position, &token)| Row {
                token,
                position: count(position),
                table: count(tables.len()),
                logits: false,
            }));
            if let Some(last) = rows.last_mut() {
                last.logits = span.complete;
            }
            tables.push(running.pages());
        }
        let batch = Batch { rows: &rows, tables: &tables };
        compute.forward(&batch, Input::Tokens, &mut self.output)?;
        Ok(())
    }

    /// Notes what was computed and chooses a token for each sequence that is complete. Returns how many were chosen.
    fn settle(&mut self, spans: &[Span<Place>], deliver: Deliver<'_>) -> usize {
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
    fn end_choice(&mut self, place: Place, finish: FinishReason, deliver: Deliver<'_>) {
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

/// A count of tokens, pages or requests, all of which fit 32 bits.
fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
