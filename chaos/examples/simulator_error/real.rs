//! The real engine's scheduler and layers, step by step, on a clock that moves by what each step took.

use std::collections::BTreeMap;
use std::time::Instant;

use helixflow_engine::compute::cpu::CpuModel;
use helixflow_engine::compute::{Batch, Compute, ComputeError, Input, Limits, Output, Shape};
use helixflow_engine::kv::CacheSalt;
use helixflow_engine::schedule::{Bounds, Budget, Event, Request, RequestNumber, Scheduler, Verdict};
use helixflow_model::{Sampling, TokenId};
use helixflow_simulator::{Arrival, Done, Requests};

use crate::Outcome;

/// What time is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// That of the wall.
    Wall,
    /// That of this thread on its CPU.
    Thread,
}

impl Clock {
    fn seconds(self, origin: Instant) -> f64 {
        match self {
            Self::Wall => origin.elapsed().as_secs_f64(),
            Self::Thread => on_cpu(),
        }
    }
}

/// Seconds that this thread has spent on a CPU (the first figure of Linux's `schedstat`).
fn on_cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    nanos.unwrap_or_default() / 1e9
}

/// What a step computed, and how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// Sequences that generated.
    pub(crate) generating: usize,
    /// Positions that they attended to.
    pub(crate) context: f64,
    /// Rows of prompts.
    pub(crate) prompt_rows: f64,
    /// Positions that these attended to.
    pub(crate) prompt_positions: f64,
    /// Seconds.
    pub(crate) took: f64,
}

/// Layers that note what a step held.
struct Watched {
    model: CpuModel,
    seen: Measured,
}

impl Compute for Watched {
    fn shape(&self) -> &Shape {
        self.model.shape()
    }

    fn limits(&self) -> Limits {
        self.model.limits()
    }

    fn forward(
        &mut self,
        batch: &Batch<'_>,
        input: Input<'_>,
        output: &mut Output,
    ) -> Result<(), ComputeError> {
        self.seen = Measured::default();
        for table in 0..batch.tables.len() {
            let rows = || batch.rows.iter().filter(|row| row.table as usize == table);
            let positions: f64 = rows().map(|row| f64::from(row.position + 1)).sum();
            if rows().count() == 1 {
                self.seen.generating += 1;
                self.seen.context += positions;
            } else {
                self.seen.prompt_rows += rows().count() as f64;
                self.seen.prompt_positions += positions;
            }
        }
        self.model.forward(batch, input, output)
    }
}

/// The engine without its thread.
pub(crate) struct Real {
    layers: Watched,
    budget: Budget,
    clock: Clock,
    origin: Instant,
    steps: Vec<Measured>,
    /// Requests so far: no two have a prompt in common, so that nothing is found in the cache.
    numbers: u64,
}

impl Real {
    pub(crate) fn new(model: CpuModel, sequences: usize, prefill_rows: usize, clock: Clock) -> Self {
        let budget = Budget::new(model.limits(), sequences, prefill_rows);
        let layers = Watched { model, seen: Measured::default() };
        Self { layers, budget, clock, origin: Instant::now(), steps: Vec::new(), numbers: 0 }
    }

    /// The steps since this was last asked.
    pub(crate) fn take_steps(&mut self) -> Vec<Measured> {
        std::mem::take(&mut self.steps)
    }

    /// How many usual requests a full batch answers in a second, roughly.
    pub(crate) fn requests_a_second_when_full(&mut self, requests: &Requests) -> Outcome<f64> {
        let (prompt, answer) = (requests.prompt.median as u32, requests.answer.median as u32);
        let count = 2 * self.budget.sequences;
        let all: Vec<Arrival> = (0..count).map(|_| Arrival { at: 0.0, prompt, answer }).collect();
        let done = self.answer(&all)?;
        self.steps.clear();
        let ended = done.iter().map(|one| one.last).fold(0.0, f64::max);
        Ok(count as f64 / ended)
    }

    /// Answers requests that arrive as recorded, and tells when each of them was.
    pub(crate) fn answer(&mut self, trace: &[Arrival]) -> Outcome<Vec<Done>> {
        let bounds = Bounds::new(self.layers.shape(), self.layers.limits());
        let mut scheduler = Scheduler::new(bounds, self.budget);
        let (mut now, mut open, mut done) = (0.0, BTreeMap::new(), Vec::new());
        let mut coming = trace.iter().peekable();
        loop {
            while let Some(arrival) = coming.next_if(|arrival| arrival.at <= now) {
                self.numbers += 1;
                scheduler.submit(RequestNumber(self.numbers), request(arrival, self.numbers))?;
                open.insert(RequestNumber(self.numbers), (*arrival, None));
            }
            if !scheduler.has_work() {
                let Some(next) = coming.peek() else { return Ok(done) };
                now = next.at;
                continue;
            }
            now += self.step(&mut scheduler, &mut open, &mut done, now)?;
        }
    }

    /// Makes a step, and notes when tokens came.
    fn step(
        &mut self,
        scheduler: &mut Scheduler,
        open: &mut BTreeMap<RequestNumber, (Arrival, Option<f64>)>,
        done: &mut Vec<Done>,
        now: f64,
    ) -> Outcome<f64> {
        let mut told: Vec<(RequestNumber, bool)> = Vec::new();
        let began = self.clock.seconds(self.origin);
        scheduler.admit(&mut |_, _| Verdict::Continue);
        scheduler.step(&mut self.layers, &mut |number, event| {
            told.push((number, matches!(event, Event::End { .. })));
            Verdict::Continue
        })?;
        let took = self.clock.seconds(self.origin) - began;
        self.steps.push(Measured { took, ..self.layers.seen });
        for (number, is_end) in told {
            let Some((arrival, first)) = open.get_mut(&number) else { continue };
            let first = *first.get_or_insert(now + took);
            if is_end {
                let Arrival { at, prompt, answer } = *arrival;
                let request = helixflow_simulator::Request { arrived: at, prompt, answer };
                done.push(Done { request, first, last: now + took });
                open.remove(&number);
            }
        }
        Ok(took)
    }
}

/// A request of these lengths; its tokens look drawn.
fn request(arrival: &Arrival, number: u64) -> Request {
    let token = |at: u32| {
        let mixed = (number * 7919 + u64::from(at) * 104_729).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        TokenId(1000 + (mixed >> 40) as u32 % 20_000)
    };
    Request {
        prompt: (0..arrival.prompt).map(token).collect(),
        generated: Vec::new(),
        sampling: Sampling { max_tokens: arrival.answer, ignore_eos: true, ..Sampling::default() },
        seed: number,
        eos: Vec::new(),
        salt: CacheSalt(1),
        priority: 0,
    }
}
