//! A fleet through a span of a day: boards, the engines on them, the air around them, and a policy in charge.
//!
//! Requests are simulated one by one, and so are the engines' steps. Time passes over all boards every [`TICK`]; in
//! between, clocks stand still. What is coarser than in production:
//! - boards are read twice a second (up to ten times), for heat moves slowly: a die gains at most some degrees a second,
//!   and the physical model's own firmware looks at it four times a second;
//! - what the governor orders is done at once and never refused;
//! - nodes report once a second and all at once (one to four times, each for itself), and the table is built once with
//!   all of it; so a report is half a second old on average, as in production, but its age counts as nothing;
//! - one gateway takes all requests, and it knows within a tick of each that begins to be answered, and of each that ends;
//! - shards stay where they are: there is no placement and no relief.

mod boards;
mod governor;
mod production;
mod routing;

use std::ops::Range;
use std::time::Duration;

use helixflow_physics::Parameters;
use serde::Serialize;

use crate::arrivals::HOUR;
use crate::outcome::{Moment, Outcome};
use crate::random::{Stream, bits};
use crate::room::Room;
use crate::{Arrivals, Done, Objective, Policy, ProductName, Request, Scenario, Serving};
use boards::Boards;
use routing::Routing;

/// Time passes in such steps, in seconds: two ticks of the physical model's firmware.
const TICK: f64 = 0.5;
const TICK_TIME: Duration = Duration::from_millis(500);
/// Ticks from one report of a node to the next.
const TICKS_A_REPORT: u64 = 2;
/// Ticks from one look at the air to the next: it changes over minutes.
const TICKS_OF_AIR: u64 = 20;
/// Loads that count for [`Outcome::held_under_load`].
const UNDER_LOAD: std::ops::RangeInclusive<f64> = 0.7..=0.9;

/// A span of a scenario to be run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Boards.
    pub boards: usize,
    /// Hours of the day.
    pub from: f64,
    /// Up to this one.
    pub to: f64,
    /// Seconds before it that are simulated and not measured: the fleet fills and warms up.
    pub run_in: f64,
}

/// Who is in charge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// The policy.
    pub policy: Policy,
    /// What somebody else has capped on every board, all day; our governor leaves such a clock to them.
    pub cap: Option<Cap>,
}

/// A static cap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cap {
    /// Of the clock, as a share of the highest.
    Clock(f64),
    /// Of the power, as a share of the highest limit.
    Power(f64),
    /// Of the clock, board by board: the highest at which its die would rise no more than so many K over its inlet, were it
    /// to work without a pause on a full batch, in the air of the run's beginning and behind a board that draws all it may.
    /// Work that heats more, and cooler air that slows the fans, make peaks some degrees higher.
    Rise(f64),
}

/// A fleet cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// The physical model lacks the product.
    #[error("the physical model does not know the product {0:?}: use one that it knows")]
    UnknownProduct(ProductName),
    /// A name is not valid.
    #[error(transparent)]
    Name(#[from] helixflow_model::InvalidName),
}

/// Runs a span of a scenario under a policy. The same arguments give the same outcome.
pub fn run(scenario: &Scenario, span: Span, setting: Setting, seed: u64) -> Result<Outcome, FleetError> {
    let parameters =
        Parameters::by_name(scenario.product.key()).ok_or(FleetError::UnknownProduct(scenario.product))?;
    let serving = Serving::of(scenario.product, &scenario.requests);
    let begin = span.from * HOUR - span.run_in;
    let mut room = Room::new(scenario, span.boards, seed);
    room.pass(begin / HOUR);
    let boards = Boards::new(parameters, &serving, &room, setting, begin, seed);
    let mut fleet = Fleet {
        scenario,
        serving: &serving,
        desk: Desk {
            routing: Routing::new(setting, &boards, seed)?,
            outcome: Outcome::default(),
            objective: serving.objective,
            measured: span.from * HOUR..span.to * HOUR,
        },
        boards,
        room,
    };
    let capacity = serving.capacity * span.boards as f64;
    fleet.run(Arrivals::new(&scenario.load.share, &scenario.requests, capacity, begin, seed), begin);
    Ok(fleet.desk.outcome)
}

/// A board of a product, by its number in the fleet: what it is made of, and the seed of what is its own.
pub(crate) fn varied(parameters: Parameters, board: usize, seed: u64) -> (u64, Parameters) {
    let own = bits(seed, Stream::Physics, board as u64);
    (own, parameters.varied(own))
}

/// Where requests come in, and where it is noted what becomes of them.
struct Desk {
    routing: Routing,
    outcome: Outcome,
    objective: Objective,
    /// Seconds of the day that are measured: what boards do in them, and what becomes of requests that arrive in them.
    measured: Range<f64>,
}

struct Fleet<'a> {
    scenario: &'a Scenario,
    serving: &'a Serving,
    boards: Boards,
    room: Room<'a>,
    desk: Desk,
}

impl Fleet<'_> {
    fn run(&mut self, arrivals: Arrivals<'_>, begin: f64) {
        let mut arrivals = arrivals.peekable();
        let Range { start, end } = self.desk.measured;
        let ticks = ((end + self.run_out() - begin) / TICK).round() as u64;
        let (mut before, mut after) = (0, None);
        for tick in 0..ticks {
            let now = begin + tick as f64 * TICK;
            let since_start = TICK_TIME * u32::try_from(tick).unwrap_or(u32::MAX);
            if tick % TICKS_OF_AIR == 0 {
                self.room.pass(now / HOUR);
                self.boards.breathe(&self.room);
            }
            if tick % TICKS_A_REPORT == 0 {
                self.desk.routing.hear(&mut self.boards, self.serving, since_start);
            }
            if now <= start {
                before = self.boards.tokens();
            } else if now >= end && after.is_none() {
                after = Some(self.boards.tokens());
            }
            let until = now + TICK;
            while let Some(arrival) = arrivals.next_if(|arrival| arrival.at < until) {
                self.submit(Request { arrived: arrival.at, prompt: arrival.prompt, answer: arrival.answer });
            }
            self.pass(now, until, since_start + TICK_TIME);
        }
        let outcome = &mut self.desk.outcome;
        outcome.seconds = end - start;
        outcome.tokens = after.unwrap_or(before) - before;
        outcome.counts.left = self.boards.held();
        self.boards.close(outcome);
    }

    /// Seconds that a run goes on after what is measured, so that the last requests end too: who takes longer is no good.
    fn run_out(&self) -> f64 {
        let (most, objective) = (self.scenario.requests.answer.most, self.desk.objective);
        objective.first + f64::from(most) * objective.token
    }

    /// A request arrives: somebody gets it, or nobody.
    fn submit(&mut self, request: Request) {
        self.desk.outcome.counts.arrived += 1;
        let is_measured = u64::from(self.desk.measured.contains(&request.arrived));
        self.desk.outcome.asked += is_measured;
        let picked = self.desk.routing.pick(&self.boards);
        let (boards, desk) = (&mut self.boards, &mut self.desk);
        let taker =
            picked.filter(|board| boards.submit(self.serving, *board, request, &mut desk.ending(*board)));
        match taker {
            Some(board) => self.desk.routing.took(board),
            None => {
                self.desk.outcome.counts.refused += 1;
                self.desk.outcome.refused += is_measured;
            }
        }
    }

    /// Time passes over all boards.
    fn pass(&mut self, now: f64, until: f64, since_start: Duration) {
        let hour = now / HOUR;
        let under_load = UNDER_LOAD.contains(&self.scenario.load.share.at(hour));
        let moment = Moment { under_load, quarter: (hour * 4.0) as usize };
        for board in 0..self.boards.len() {
            self.boards.advance(self.serving, board, until, &mut self.desk.ending(board));
            let measured = self.desk.measured.contains(&now);
            let outcome = measured.then_some((&mut self.desk.outcome, moment));
            self.boards.heat(board, TICK, since_start, outcome);
        }
    }
}

impl Desk {
    /// Notes each request that ends on a board.
    fn ending(&mut self, board: usize) -> impl FnMut(Done) + '_ {
        move |done: Done| {
            self.outcome.counts.finished += 1;
            self.routing.let_go(board);
            if self.measured.contains(&done.request.arrived) {
                self.outcome.end(&done, &self.objective);
            }
        }
    }
}
