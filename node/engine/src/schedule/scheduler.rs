//! The state machine: what is queued, what runs, and one step of it.
//!
//! Who joins the batch is decided in `admission`, what becomes of a computed step in `settlement`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use helixflow_model::{LoadReport, Sampling, Usage};

use super::event::{Event, Failure, Verdict};
use super::plan::{Budget, Span, plan};
use super::request::{Bounds, Refusal, Request, RequestNumber};
use super::sequence::{History, Place, Running};
use crate::compute::{Batch, Compute, ComputeError, Input, Output, PageId, Row};
use crate::kv::{CacheSalt, Pool};
use crate::sampling::{Ending, Sampler};

/// Takes the news of each request, and answers for it.
pub(super) type Deliver<'a> = &'a mut dyn FnMut(RequestNumber, Event) -> Verdict;

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
pub(super) struct Active {
    pub(super) sampling: Sampling,
    pub(super) seed: u64,
    pub(super) salt: CacheSalt,
    pub(super) ending: Ending,
    pub(super) usage: Usage,
    /// Places of the choices that are not over.
    pub(super) open: BTreeSet<Place>,
}

/// All requests of an engine, queued and running.
#[derive(Debug)]
pub struct Scheduler {
    pub(super) bounds: Bounds,
    pub(super) budget: Budget,
    pub(super) pool: Pool,
    pub(super) requests: BTreeMap<RequestNumber, Active>,
    pub(super) waiting: BTreeMap<Place, History>,
    pub(super) running: BTreeMap<Place, Running>,
    pub(super) sampler: Sampler,
    pub(super) output: Output,
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
            busy_milli: 0,
            sequences: count(self.budget.sequences),
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
}

/// A count of tokens, pages or requests, all of which fit 32 bits.
pub(super) fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
