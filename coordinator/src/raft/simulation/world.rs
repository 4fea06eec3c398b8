//! One run: coordinators, clients and faults, step by step, until every client was served again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use helixflow_env::SeededRandom;
use helixflow_proto::v1::BootstrapRequest;
use tokio::time::{sleep, timeout};
use turmoil::Sim;

use super::checks::Seen;
use super::client::{Client, Shared, connect};
use super::events::Events;
use super::faults::{Planned, old, plan};
use super::host::{PEERS, Seat, name};
use super::network::Machines;
use super::phases::{Phase, SAFETY_MS};
use super::planted::Bug;
use super::runtime;

/// Simulated time advances by this much a step.
const TICK: Duration = Duration::from_millis(2);
/// The longest that a message takes on a good day.
pub(super) const LATENCY_MS: u64 = 6;
/// Clients of a run.
const CLIENT_COUNT: u64 = 3;
/// Between two looks at every replica.
const LOOK_MS: u64 = 10;
/// No run takes so long.
const LONGEST: Duration = Duration::from_secs(120);

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) seed: u64,
    pub(super) coordinators: u64,
    pub(super) scenario: Scenario,
    pub(super) bug: Option<Bug>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    /// Whatever the seed draws, and then nothing more.
    Faults,
    /// Nothing that the leader says gets through.
    MutedLeader,
    /// Nothing gets through to the leader.
    DeafLeader,
    /// The leader and all but one of the others do not hear each other.
    BridgedLeader,
    /// The leader's process is killed, and its machine says so.
    KilledLeader,
    /// The leader's machine loses its power.
    DarkLeader,
}

/// What came of it.
pub(super) struct Report {
    pub(super) events: String,
    pub(super) simulated: Duration,
    pub(super) operations: usize,
    /// From the end of the last fault until every coordinator served again, or from the loss of the leader until writes
    /// went on without it.
    pub(super) recovered: Duration,
    pub(super) violation: Option<String>,
}

impl Run {
    /// Runs it. One run at a time in a process: tokio numbers its tasks by one counter.
    pub(super) fn run(self) -> Report {
        align_task_ids();
        runtime::seed(self.seed);
        World::new(self).run()
    }
}

/// tokio ends a crashed host's tasks in the order of their numbers modulo four: each run has to begin alike.
fn align_task_ids() {
    let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    tokio.block_on(async {
        loop {
            let number: u64 = tokio::spawn(async {}).id().to_string().parse().expect("a number");
            if number.is_multiple_of(64) {
                return;
            }
        }
    });
}

/// A run under way.
pub(super) struct World<'a> {
    pub(super) run: Run,
    pub(super) sim: Sim<'a>,
    pub(super) seats: BTreeMap<u64, Seat>,
    pub(super) shared: Shared,
    pub(super) seen: Seen,
    pub(super) random: SeededRandom,
    pub(super) phase: Phase,
    pub(super) recovered: Duration,
    /// Faults to come, the next one last, and those under way.
    pub(super) planned: Vec<Planned>,
    pub(super) under_way: Vec<Planned>,
    /// When a process that is down is started again.
    pub(super) restarts: BTreeMap<u64, u64>,
    /// Coordinators whose disk has rotted: they may refuse to start.
    pub(super) rotten: BTreeSet<u64>,
}

impl World<'_> {
    fn new(run: Run) -> Self {
        let Run { seed, coordinators, bug, scenario } = run;
        let faults = scenario == Scenario::Faults;
        let events = Events::default();
        let shared = Shared::new(seed, coordinators, events.clone(), bug == Some(Bug::StaleRead));
        let mut sim = simulator(seed);
        let mut seats = BTreeMap::new();
        for id in 1..=coordinators {
            let is_old = faults && old(seed) == Some(id);
            let seat = Seat::new(id, seed, is_old, bug, (events.clone(), shared.machines.clone()));
            seats.insert(id, seat.clone());
            sim.host(name(id), move || seat.clone().run());
        }
        sim.client("boot", bootstrap(coordinators));
        for number in 1..=CLIENT_COUNT {
            sim.client(format!("c{number}"), Client::new(number, shared.clone()).run());
        }
        let mut planned = if faults { plan(seed, coordinators, SAFETY_MS) } else { Vec::new() };
        planned.reverse();
        let phase = if faults { Phase::Safety } else { Phase::BeforeLoss };
        let (seen, under_way, restarts, rotten, recovered) = Default::default();
        let random = SeededRandom::new(seed ^ 0xd15c);
        Self { run, sim, seats, shared, seen, random, phase, recovered, planned, under_way, restarts, rotten }
    }

    pub(super) fn note(&self, what: &str) {
        self.shared.events.push(self.sim.elapsed().as_millis(), "sim", what);
    }

    fn run(mut self) -> Report {
        let violation = self.advance().err();
        let history = std::mem::take(&mut *self.shared.history.lock());
        let judged = helixflow_linearizability::check(&history).map_err(|violation| violation.to_string());
        Report {
            events: self.shared.events.text(),
            simulated: self.sim.elapsed(),
            operations: history.len(),
            recovered: self.recovered,
            violation: violation.or(judged.err()),
        }
    }

    fn advance(&mut self) -> Result<(), String> {
        let mut look_at = 0;
        while !self.sim.step().map_err(|error| format!("a host ended: {error}"))? {
            let now = u64::try_from(self.sim.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.end_faults(now);
            self.begin_faults(now);
            self.restart(now)?;
            if now >= look_at {
                look_at = now + LOOK_MS;
                self.look(now)?;
                self.go_on(now)?;
            }
        }
        Ok(())
    }

    fn look(&mut self, now: u64) -> Result<(), String> {
        let before = self.seen.last_leader();
        for seat in self.seats.values() {
            self.seen.look(seat, now)?;
        }
        match self.seen.last_leader() {
            Some((term, leader)) if before != Some((term, leader)) => {
                self.note(&format!("{} leads in term {term}", name(leader)));
            }
            _ => {}
        }
        Ok(())
    }
}

fn simulator<'a>(seed: u64) -> Sim<'a> {
    turmoil::Builder::new()
        .rng_seed(seed)
        .simulation_duration(LONGEST)
        .tick_duration(TICK)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(LATENCY_MS))
        .tcp_capacity(65_536)
        .enable_random_order()
        .build()
}

/// Makes the group, once its members answer.
async fn bootstrap(coordinators: u64) -> turmoil::Result {
    let raft = |id| format!("{}:{PEERS}", name(id));
    let request = BootstrapRequest { raft: (1..=coordinators).map(raft).collect() };
    let mut client = connect(1, Machines::default());
    while !matches!(timeout(Duration::from_secs(1), client.bootstrap(request.clone())).await, Ok(Ok(_))) {
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
