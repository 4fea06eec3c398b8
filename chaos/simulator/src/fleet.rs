//! A fleet through a span of a day: boards, the engines on them, the air around them, and a policy in charge.
//!
//! Requests are simulated one by one, and so are the engines' steps. Time passes over all boards every [`TICK`]; in
//! between, clocks stand still. What is coarser than in production:
//! - boards are read twice a second (up to ten times), for heat moves slowly: a die gains at most some degrees a second,
//!   and the physical model's own firmware looks at it four times a second;
//! - nodes report once a second and all at once (one to four times, each for itself), and the table is built once with
//!   all of it; so a report is half a second old on average, as in production;
//! - one gateway takes all requests, and it knows of each that ends within a tick.

mod boards;
mod governor;
mod production;
mod routing;

use std::time::Duration;

use helixflow_physics::Parameters;

use crate::arrivals::HOUR;
use crate::outcome::{Moment, Outcome};
use crate::room::Room;
use crate::{Arrivals, Done, Policy, ProductName, Request, Scenario, Serving};
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
    /// For a static cap: the share of the highest clock, or of the highest power limit. Others leave it at 1.
    pub cap: f64,
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
        routing: Routing::new(setting, &boards, seed)?,
        boards,
        room,
        outcome: Outcome::default(),
        measured_from: span.from * HOUR,
    };
    let capacity = serving.capacity * span.boards as f64;
    fleet.run(
        Arrivals::new(&scenario.load.share, &scenario.requests, capacity, begin, seed),
        begin,
        span.to * HOUR,
    );
    Ok(fleet.outcome)
}

struct Fleet<'a> {
    scenario: &'a Scenario,
    serving: &'a Serving,
    boards: Boards,
    routing: Routing,
    room: Room<'a>,
    outcome: Outcome,
    measured_from: f64,
}

impl Fleet<'_> {
    fn run(&mut self, arrivals: Arrivals<'_>, begin: f64, end: f64) {
        let mut arrivals = arrivals.peekable();
        let ticks = ((end - begin) / TICK).round() as u64;
        let mut tokens_before = 0;
        for tick in 0..ticks {
            let now = begin + tick as f64 * TICK;
            let since_start = TICK_TIME * u32::try_from(tick).unwrap_or(u32::MAX);
            if tick % TICKS_OF_AIR == 0 {
                self.room.pass(now / HOUR);
                self.boards.breathe(&self.room);
            }
            if tick % TICKS_A_REPORT == 0 {
                self.routing.hear(&mut self.boards, self.serving, since_start);
            }
            if now <= self.measured_from {
                tokens_before = self.boards.tokens();
            }
            let until = now + TICK;
            while let Some(arrival) = arrivals.next_if(|arrival| arrival.at < until) {
                let request = Request { arrived: arrival.at, prompt: arrival.prompt, answer: arrival.answer };
                self.submit(request);
            }
            self.pass(now, until, since_start + TICK_TIME);
        }
        self.outcome.seconds = end - self.measured_from.max(begin);
        self.outcome.tokens = self.boards.tokens() - tokens_before;
        self.outcome.counts.left = self.boards.held();
        self.boards.close(&mut self.outcome);
    }

    /// A request arrives: somebody gets it, or nobody.
    fn submit(&mut self, request: Request) {
        self.outcome.counts.arrived += 1;
        self.outcome.asked += u64::from(request.arrived >= self.measured_from);
        let taken = match self.routing.pick() {
            Some(board) => {
                let taken = self.boards.submit(
                    self.serving,
                    board,
                    request,
                    &mut ending(
                        &mut self.outcome,
                        &mut self.routing,
                        self.serving,
                        self.measured_from,
                        board,
                    ),
                );
                if taken {
                    self.routing.took(board);
                }
                taken
            }
            None => false,
        };
        self.outcome.counts.refused += u64::from(!taken);
    }

    /// Time passes over all boards.
    fn pass(&mut self, now: f64, until: f64, since_start: Duration) {
        let measured = now >= self.measured_from;
        let hour = now / HOUR;
        let under_load = UNDER_LOAD.contains(&self.scenario.load.share.at(hour));
        let moment = Moment { under_load, quarter: (hour * 4.0) as usize };
        for board in 0..self.boards.len() {
            self.boards.advance(
                self.serving,
                board,
                until,
                &mut ending(&mut self.outcome, &mut self.routing, self.serving, self.measured_from, board),
            );
            self.boards.heat(board, TICK, since_start, measured.then_some((&mut self.outcome, moment)));
        }
    }
}

/// What is noted of a request that ends on a board.
fn ending<'a>(
    outcome: &'a mut Outcome,
    routing: &'a mut Routing,
    serving: &'a Serving,
    measured_from: f64,
    board: usize,
) -> impl FnMut(Done) + 'a {
    move |done: Done| {
        outcome.counts.finished += 1;
        routing.let_go(board);
        if done.last >= measured_from {
            outcome.end(&done, &serving.objective);
        }
    }
}
