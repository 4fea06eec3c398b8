//! One engine with continuous batching: a queue, a batch, and steps that take time.
//!
//! The rules are those of `helixflow-engine`: those that generate all get a row in each step, prompts share what is left,
//! first come first; pages are reserved at admission; the queue is bounded. Steps that are all alike are leapt over in
//! one go: a sequence notes the step at which it ends, so an arrival or a departure costs the logarithm of the batch,
//! and a token costs nothing. The result is that of going step by step, which a test holds it to.
//!
//! Left out: priorities, choices, cancelled requests and shared prefixes.

mod step;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use helixflow_model::LoadReport;

use step::Step;
pub use step::StepTime;

/// What an engine can hold, and how long its steps take.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineSpec {
    /// Most sequences that run at once.
    pub sequences: usize,
    /// Most rows of a step.
    pub rows: usize,
    /// Most prompt rows of a step in which other sequences generate.
    pub prefill_rows: usize,
    /// Most requests that wait.
    pub queue: usize,
    /// KV pages.
    pub pages: u32,
    /// Positions of a page.
    pub page_positions: u32,
    /// How long steps take.
    pub step: StepTime,
}

/// A request for an engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// When it arrived, in seconds.
    pub arrived: f64,
    /// Its tokens; at least 2.
    pub prompt: u32,
    /// Tokens to generate; at least 1.
    pub answer: u32,
}

/// A request that has been answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Done {
    /// What was asked.
    pub request: Request,
    /// When its first token came, in seconds.
    pub first: f64,
    /// When its last one did.
    pub last: f64,
}

impl Done {
    /// From arrival to the first token, in seconds.
    pub fn to_first(&self) -> f64 {
        self.first - self.request.arrived
    }

    /// From one token to the next on average, in seconds; none for a single token.
    pub fn per_token(&self) -> Option<f64> {
        let gaps = self.request.answer.checked_sub(1).filter(|gaps| *gaps > 0)?;
        Some((self.last - self.first) / f64::from(gaps))
    }
}

/// What a board does for its engine, in seconds or as shares of a time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activity {
    /// It computes a step.
    pub busy: f64,
    /// And waits for memory meanwhile.
    pub waits: f64,
}

impl Activity {
    fn pass(&mut self, waits: f64, seconds: f64) {
        self.busy += seconds;
        self.waits += seconds * waits;
    }
}

/// A sequence whose prompt is computed.
#[derive(Clone, Copy, Debug)]
struct Prefilling {
    request: Request,
    computed: u32,
}

/// The engine.
#[derive(Clone, Debug)]
pub struct Engine {
    now: f64,
    waiting: VecDeque<Request>,
    prefilling: VecDeque<Prefilling>,
    /// Those that generate, by the step at which they end; the rest is the place in `places`.
    generating: BinaryHeap<Reverse<(u64, u32)>>,
    places: Vec<(Request, f64)>,
    free: Vec<u32>,
    /// Steps in which sequences generated, so far.
    steps: u64,
    /// Positions that those who generate attend to, all together.
    context: u64,
    pages_free: u32,
    /// The step under way.
    step: Option<Step>,
    tokens: u64,
    /// Since the last [`Engine::take_activity`], which was at `since`.
    activity: Activity,
    since: f64,
}

impl Engine {
    /// An idle engine at a time, in seconds.
    pub fn new(spec: &EngineSpec, now: f64) -> Self {
        Self {
            now,
            waiting: VecDeque::new(),
            prefilling: VecDeque::new(),
            generating: BinaryHeap::new(),
            places: Vec::new(),
            free: Vec::new(),
            steps: 0,
            context: 0,
            pages_free: spec.pages,
            step: None,
            tokens: 0,
            activity: Activity::default(),
            since: now,
        }
    }

    /// Takes a request at the present time. False when the queue is full, or it could never run.
    pub fn submit(&mut self, spec: &EngineSpec, request: Request) -> bool {
        if self.waiting.len() >= spec.queue || pages(spec, &request) > spec.pages {
            return false;
        }
        self.waiting.push_back(request);
        true
    }

    /// Goes on to a time at a speed, 1 being that of the highest clock; tells of each request that is done.
    pub fn advance(&mut self, spec: &EngineSpec, until: f64, speed: f64, done: &mut impl FnMut(Done)) {
        while speed > 0.0 && self.now < until {
            let Some(mut step) = self.step.take().or_else(|| self.plan(spec)) else { break };
            if step.fresh && step.prompt_rows == 0 {
                self.leap(spec, &mut step, (until - self.now) * speed, speed);
            }
            step.fresh = false;
            let needed = step.left / speed;
            let passes = needed.min(until - self.now);
            self.activity.pass(step.waits, passes);
            if passes < needed {
                step.left -= passes * speed;
                self.step = Some(step);
                break;
            }
            self.now += needed;
            self.settle(spec, &step, done);
        }
        self.now = self.now.max(until);
    }

    /// Decides what the next step computes; none when there is nothing to do.
    fn plan(&mut self, spec: &EngineSpec) -> Option<Step> {
        self.admit(spec);
        let generating = self.generating.len();
        let mut left = spec.rows.saturating_sub(generating);
        if generating > 0 {
            left = left.min(spec.prefill_rows);
        }
        let prompts = self.prefilling.iter().map(|one| (one.computed, one.request.prompt - one.computed));
        Step::plan(&spec.step, generating, self.context, left, prompts)
    }

    fn admit(&mut self, spec: &EngineSpec) {
        while let Some(&request) = self.waiting.front() {
            let wanted = pages(spec, &request);
            if self.active() >= spec.sequences || wanted > self.pages_free {
                break;
            }
            self.pages_free -= wanted;
            self.waiting.pop_front();
            self.prefilling.push_back(Prefilling { request, computed: 0 });
        }
    }

    /// Leaps over steps like this one, up to the last that ends within `work` seconds of the highest clock and before
    /// anybody is done.
    fn leap(&mut self, spec: &EngineSpec, step: &mut Step, work: f64, speed: f64) {
        let Some(Reverse((end, _))) = self.generating.peek() else { return };
        let rows = self.generating.len() as u64;
        let grows = spec.step.context_position * rows as f64;
        let most = step.alike_within(work, grows).min(end - self.steps);
        let over = most.saturating_sub(1);
        if over == 0 {
            return;
        }
        let passes = step.time_of(over, grows) / speed;
        self.activity.pass(step.waits, passes);
        self.now += passes;
        self.steps += over;
        self.context += rows * over;
        self.tokens += rows * over;
        step.left += grows * over as f64;
    }

    /// Takes in what a step has computed.
    fn settle(&mut self, spec: &EngineSpec, step: &Step, done: &mut impl FnMut(Done)) {
        let rows = self.generating.len() as u64;
        self.steps += u64::from(rows > 0);
        self.tokens += rows;
        self.context += rows;
        while let Some(&Reverse((end, place))) = self.generating.peek() {
            if end > self.steps {
                break;
            }
            self.generating.pop();
            let (request, first) = self.places[place as usize];
            self.free.push(place);
            self.context -= u64::from(request.prompt + request.answer);
            self.finish(spec, request, first, done);
        }
        let mut left = step.prompt_rows;
        while let Some(front) = self.prefilling.front_mut() {
            let rows = left.min(front.request.prompt - front.computed);
            left -= rows;
            front.computed += rows;
            if front.computed < front.request.prompt {
                break;
            }
            let request = front.request;
            self.prefilling.pop_front();
            self.begin(spec, request, done);
        }
    }

    /// A prompt is computed: its first token is there.
    fn begin(&mut self, spec: &EngineSpec, request: Request, done: &mut impl FnMut(Done)) {
        self.tokens += 1;
        if request.answer <= 1 {
            return self.finish(spec, request, self.now, done);
        }
        self.context += u64::from(request.prompt) + 1;
        let entry = (request, self.now);
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place as usize] = entry;
                place
            }
            None => {
                self.places.push(entry);
                self.places.len() as u32 - 1
            }
        };
        self.generating.push(Reverse((self.steps + u64::from(request.answer) - 1, place)));
    }

    fn finish(&mut self, spec: &EngineSpec, request: Request, first: f64, done: &mut impl FnMut(Done)) {
        self.pages_free += pages(spec, &request);
        done(Done { request, first, last: self.now });
    }

    /// Sequences in the batch.
    pub fn active(&self) -> usize {
        self.prefilling.len() + self.generating.len()
    }

    /// Requests that wait for a place in it.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Requests that are here.
    pub fn held(&self) -> usize {
        self.active() + self.waiting()
    }

    /// Requests whose first token has yet to come.
    pub fn unanswered(&self) -> u32 {
        (self.waiting.len() + self.prefilling.len()) as u32
    }

    /// Tokens generated so far.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// What it has done since this was last asked, as shares of that time.
    pub fn take_activity(&mut self) -> Activity {
        let (Activity { busy, waits }, span) = (std::mem::take(&mut self.activity), self.now - self.since);
        self.since = self.now;
        if span > 0.0 {
            Activity { busy: (busy / span).min(1.0), waits: (waits / span).min(1.0) }
        } else {
            Activity::default()
        }
    }

    /// How busy it is, as the engine itself tells it; speed and smoothed figures are left at 0.
    pub fn load(&self, spec: &EngineSpec) -> LoadReport {
        let waiting = self.waiting.iter().map(|request| request.prompt);
        let running = self.prefilling.iter().map(|one| one.request.prompt - one.computed);
        LoadReport {
            queued: self.waiting.len() as u32,
            active: self.active() as u32,
            kv_pages_free: self.pages_free,
            kv_pages_total: spec.pages,
            prefill_backlog: waiting.chain(running).sum(),
            millitokens_per_second: 0,
            busy_milli: 0,
            sequences: spec.sequences as u32,
        }
    }
}

/// Pages that a request reserves.
fn pages(spec: &EngineSpec, request: &Request) -> u32 {
    (request.prompt + request.answer).div_ceil(spec.page_positions)
}
