//! One run: coordinators, clients and faults; a safety phase, then a liveness phase in which all faults have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use helixflow_env::disk::DiskFaults;
use helixflow_env::{Disk, Randomness, SeededRandom};
use helixflow_proto::v1::{BootstrapRequest, CoordinatorMember};
use tokio::time::{sleep, timeout};
use turmoil::Sim;

use super::checks::Seen;
use super::client::{Client, Shared, connect};
use super::events::Events;
use super::faults::{Fault, Planned, plan};
use super::host::{CLIENTS, PEERS, Process, Seat, name};
use super::planted::Bug;
use super::runtime;

/// Simulated time advances by this much a step.
const TICK: Duration = Duration::from_millis(2);
/// How long faults go on.
const SAFETY_MS: u64 = 8_000;
/// How long the group may take to serve every client at every coordinator once they have ended.
const LIVENESS_MS: u64 = 6_000;
/// A process that ended is started again after so long.
const RESTART_MS: u64 = 300;
/// Clients.
const CLIENTS_COUNT: u64 = 3;
/// Between two looks at every replica.
const LOOK_MS: u64 = 10;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) seed: u64,
    pub(super) coordinators: u64,
    pub(super) bug: Option<Bug>,
}

/// What came of it.
pub(super) struct Report {
    pub(super) events: String,
    pub(super) simulated: Duration,
    pub(super) operations: usize,
    /// From the end of the last fault until every client was served by every coordinator.
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

struct World<'a> {
    run: Run,
    sim: Sim<'a>,
    seats: BTreeMap<u64, Seat>,
    shared: Shared,
    seen: Seen,
    random: SeededRandom,
    /// Faults to come, the next one last, and those under way.
    planned: Vec<Planned>,
    under_way: Vec<Planned>,
    /// When a process that is down is started again.
    restarts: BTreeMap<u64, u64>,
    /// Coordinators whose disk has rotted: they may refuse to start.
    rotten: BTreeSet<u64>,
    recovered_ms: Option<u64>,
}

impl World<'_> {
    fn new(run: Run) -> Self {
        let events = Events::default();
        let mut sim = turmoil::Builder::new()
            .rng_seed(run.seed)
            .simulation_duration(Duration::from_secs(600))
            .tick_duration(TICK)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(6))
            .tcp_capacity(65_536)
            .enable_random_order()
            .build();
        let shared = Shared {
            history: Arc::default(),
            events: events.clone(),
            coordinators: run.coordinators,
            seed: run.seed,
            stale_reads: run.bug == Some(Bug::StaleRead),
            stop: Arc::default(),
            served: Arc::default(),
            healed_ms: Arc::default(),
        };
        let mut seats = BTreeMap::new();
        for id in 1..=run.coordinators {
            let seat = Seat::new(id, run.seed, run.bug, events.clone());
            seats.insert(id, seat.clone());
            sim.host(name(id), move || seat.clone().run());
        }
        let coordinators = run.coordinators;
        sim.client("boot", async move { bootstrap(coordinators).await });
        for number in 1..=CLIENTS_COUNT {
            let client = Client::new(number, shared.clone());
            sim.client(format!("c{number}"), client.run());
        }
        let mut planned = plan(run.seed, run.coordinators, SAFETY_MS);
        planned.reverse();
        Self {
            run,
            sim,
            seats,
            shared,
            seen: Seen::default(),
            random: SeededRandom::new(run.seed ^ 0x_d15c),
            planned,
            under_way: Vec::new(),
            restarts: BTreeMap::new(),
            rotten: BTreeSet::new(),
            recovered_ms: None,
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.sim.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn note(&self, what: &str) {
        self.shared.events.push(u128::from(self.now_ms()), "sim", what);
    }

    fn run(mut self) -> Report {
        let violation = self.advance().err();
        let history = std::mem::take(&mut *self.shared.history.lock());
        let judged = helixflow_linearizability::check(&history).map_err(|violation| violation.to_string());
        let violation = violation.or(judged.err());
        let healed = self.shared.healed_ms.load(Ordering::Relaxed);
        Report {
            events: self.shared.events.text(),
            simulated: self.sim.elapsed(),
            operations: history.len(),
            recovered: Duration::from_millis(self.recovered_ms.unwrap_or(healed).saturating_sub(healed)),
            violation,
        }
    }

    fn advance(&mut self) -> Result<(), String> {
        let mut look_at = 0;
        loop {
            let finished = self.sim.step().map_err(|error| format!("a host ended: {error}"))?;
            let now = self.now_ms();
            if finished {
                return Ok(());
            }
            self.end_faults(now);
            self.begin_faults(now);
            self.restart(now)?;
            if now >= look_at {
                look_at = now + LOOK_MS;
                self.look()?;
                self.judge_liveness(now)?;
            }
        }
    }

    fn look(&mut self) -> Result<(), String> {
        let before = self.seen.last_term();
        for seat in self.seats.values() {
            self.seen.look(seat)?;
        }
        if let Some((term, leader)) = self.seen.last_term()
            && self.seen.last_term() != before
        {
            self.note(&format!("{} leads in term {term}", name(leader)));
        }
        Ok(())
    }

    /// Once the faults have ended, every client has to be served at every coordinator, in time.
    fn judge_liveness(&mut self, now: u64) -> Result<(), String> {
        let healed = self.shared.healed_ms.load(Ordering::Relaxed);
        if healed == 0 {
            if now >= SAFETY_MS && self.under_way.is_empty() {
                self.shared.healed_ms.store(now, Ordering::Relaxed);
                self.note("every fault has ended");
            }
            return Ok(());
        }
        let lost: BTreeSet<u64> = self.rotten.iter().copied().filter(|id| self.is_lost(*id)).collect();
        let served: BTreeSet<u64> =
            self.shared.served.lock().keys().map(|(coordinator, _)| *coordinator).collect();
        let missing: Vec<u64> =
            self.seats.keys().copied().filter(|id| !served.contains(id) && !lost.contains(id)).collect();
        if missing.is_empty() {
            if self.recovered_ms.is_none() {
                self.recovered_ms = Some(now);
                self.note("served everywhere");
                self.shared.stop.store(true, Ordering::Relaxed);
            }
            return Ok(());
        }
        let late = now > healed + LIVENESS_MS;
        if late {
            Err(format!("{missing:?} do not serve {LIVENESS_MS} ms after every fault has ended"))
        } else {
            Ok(())
        }
    }

    fn is_lost(&self, id: u64) -> bool {
        matches!(&*self.seats[&id].process.lock(), Process::Ended(_) | Process::Down)
    }
}

/// Starts and ends of faults.
impl World<'_> {
    fn begin_faults(&mut self, now: u64) {
        while let Some(next) = self.planned.pop_if(|next| next.from_ms <= now) {
            self.note(&format!("{:?} until {}", next.fault, next.until_ms));
            self.begin(&next);
            self.under_way.push(next);
        }
    }

    fn end_faults(&mut self, now: u64) {
        let (ended, under_way) = self.under_way.drain(..).partition(|fault| fault.until_ms <= now);
        self.under_way = under_way;
        if Vec::is_empty(&ended) {
            return;
        }
        // Faults overlap: everything is undone, and what is still under way is done again.
        for a in self.seats.keys() {
            self.seats[a].disk.set_faults(DiskFaults::default());
            for b in self.seats.keys().filter(|b| *b != a) {
                self.sim.repair_oneway(name(*a), name(*b));
                self.sim.set_link_max_message_latency(name(*a), name(*b), Duration::from_millis(6));
            }
        }
        for Planned { fault, .. } in &ended {
            if let Fault::Kill(id) | Fault::PowerCut(id) | Fault::BitRot(id) = fault {
                self.restarts.insert(*id, now);
            }
        }
        for again in self.under_way.clone() {
            if !matches!(again.fault, Fault::Kill(_) | Fault::PowerCut(_) | Fault::BitRot(_)) {
                self.begin(&again);
            }
        }
    }

    fn begin(&mut self, Planned { fault, .. }: &Planned) {
        let others = |one: u64| self.seats.keys().copied().filter(move |id| *id != one);
        match fault {
            Fault::Kill(id) => self.take_down(*id),
            Fault::PowerCut(id) => self.cut_power(*id),
            Fault::BitRot(id) => self.rot(*id),
            Fault::Isolate(id) => {
                for other in others(*id) {
                    self.cut(*id, other);
                    self.cut(other, *id);
                }
            }
            Fault::Cut(a, b) => {
                self.cut(*a, *b);
                self.cut(*b, *a);
            }
            Fault::OneWay(a, b) => self.cut(*a, *b),
            Fault::Muted(id) => others(*id).for_each(|other| self.cut(*id, other)),
            Fault::Deaf(id) => others(*id).for_each(|other| self.cut(other, *id)),
            Fault::Delay(a, b, delay) => {
                self.sim.set_link_max_message_latency(name(*a), name(*b), *delay);
            }
            Fault::SlowDisk(id, sync_delay) => {
                self.seats[id]
                    .disk
                    .set_faults(DiskFaults { sync_delay: *sync_delay, ..DiskFaults::default() });
            }
            Fault::FullDisk(id) => {
                self.seats[id].disk.set_faults(DiskFaults { full: true, ..DiskFaults::default() });
            }
            Fault::FailingDisk(id) => {
                self.seats[id].disk.set_faults(DiskFaults { failing: true, ..DiskFaults::default() });
            }
        }
    }

    fn cut(&self, from: u64, to: u64) {
        self.sim.partition_oneway(name(from), name(to));
    }

    fn take_down(&mut self, id: u64) {
        if self.sim.is_host_running(name(id)) {
            self.sim.crash(name(id));
        }
        *self.seats[&id].process.lock() = Process::Down;
        self.restarts.remove(&id);
    }

    fn cut_power(&mut self, id: u64) {
        self.take_down(id);
        self.seats[&id].disk.crash(&self.random);
    }

    /// Flips a bit of what was durable before the last batch: at the very end of a log damage looks like a torn end.
    fn rot(&mut self, id: u64) {
        self.cut_power(id);
        let disk = &self.seats[&id].disk;
        let files = disk.list("/data/log".as_ref()).unwrap_or_default();
        let segments: Vec<_> = files.iter().filter(|path| path.extension().is_some()).collect();
        let Some((last, closed)) = segments.split_last() else { return };
        let draw = |bound: u64| self.random.next_u64() % bound.max(1);
        let (path, offset) = match closed.first() {
            Some(closed) => (closed, draw(6_000)),
            // Its header.
            None => (last, draw(60)),
        };
        let mask = 1 << draw(8);
        self.note(&format!("a bit of {} flips at {offset}", path.display()));
        if disk.rot(path, offset, mask).is_ok() {
            self.rotten.insert(id);
        }
    }

    /// Starts what is down and due, and takes down what ended by itself.
    fn restart(&mut self, now: u64) -> Result<(), String> {
        let ids: Vec<u64> = self.seats.keys().copied().collect();
        for id in ids {
            let process = self.seats[&id].process.lock().clone();
            if let Process::Ended(reason) = process
                && self.sim.is_host_running(name(id))
            {
                self.explain(id, &reason)?;
                self.sim.crash(name(id));
                self.restarts.entry(id).or_insert(now + RESTART_MS);
            }
        }
        let down = |id: &u64| {
            let held = |planned: &Planned| matches!(planned.fault, Fault::Kill(held) | Fault::PowerCut(held) | Fault::BitRot(held) if held == *id);
            self.under_way.iter().any(held)
        };
        let due: Vec<u64> =
            self.restarts.iter().filter(|(id, at)| **at <= now && !down(id)).map(|(id, _)| *id).collect();
        for id in due {
            self.restarts.remove(&id);
            if !self.sim.is_host_running(name(id)) {
                self.sim.bounce(name(id));
            }
        }
        Ok(())
    }

    /// A process may end by itself only for a fault that it was given.
    fn explain(&self, id: u64, reason: &str) -> Result<(), String> {
        let disk = |planned: &Planned| matches!(planned.fault, Fault::FullDisk(at) | Fault::FailingDisk(at) if at == id);
        let recently = self.now_ms().saturating_sub(100);
        let excused = self.rotten.contains(&id)
            || self.under_way.iter().any(disk)
            || plan(self.run.seed, self.run.coordinators, SAFETY_MS).iter().any(|planned| {
                disk(planned) && planned.from_ms <= self.now_ms() && planned.until_ms >= recently
            });
        if excused { Ok(()) } else { Err(format!("{} ended without a reason: {reason}", name(id))) }
    }
}

/// Makes the group, once its members answer.
async fn bootstrap(coordinators: u64) -> turmoil::Result {
    let member = |id| CoordinatorMember {
        id,
        region: "eu-1".to_owned(),
        grpc: format!("{}:{CLIENTS}", name(id)),
        raft: format!("{}:{PEERS}", name(id)),
        ..Default::default()
    };
    let request = BootstrapRequest { members: (1..=coordinators).map(member).collect() };
    let mut client = connect(1);
    while !matches!(timeout(Duration::from_secs(1), client.bootstrap(request.clone())).await, Ok(Ok(_))) {
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
