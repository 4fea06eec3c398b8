//! Picks from the table of a coordinator that runs in this process, while the reports come from another.
//!
//! A pick is what a request does: it takes the table of now, and picks. Picks are paced, so that none finds warm in a
//! cache what the one before has used; each is timed on its thread's own clock, since a thread that waits for a core
//! picks nothing, and on the wall beside it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use helixflow_coordinator::{Coordinator, CoordinatorConfig, Routing};
use helixflow_env::{Env, Randomness, SeededRandom};
use helixflow_model::{ModelId, Region, ReplicaId};
use helixflow_policy::routing::{Own, PickContext, Rank, RoutingTable, pick};
use metrics_exporter_prometheus::PrometheusBuilder;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::says::{MODEL, REGION};

/// Threads that pick.
const THREADS: u64 = 4;
/// Between two picks of a thread.
const PACE: Duration = Duration::from_millis(2);
/// One pick in so many is held against all candidates, which takes a hundred times as long as the pick.
const HELD_AGAINST_ALL: u64 = 8;
/// How long the nodes may take to come back.
const PATIENCE: Duration = Duration::from_secs(120);
/// A node that was heard is in the table with figures not older than this.
const FRESH: Duration = Duration::from_millis(2500);

/// What was measured: times in microseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Picked {
    pub(crate) candidates: usize,
    pub(crate) picks: usize,
    pub(crate) cpu_p50: f64,
    pub(crate) cpu_p99: f64,
    pub(crate) wall_p50: f64,
    pub(crate) wall_p99: f64,
    /// The expected time of the one picked, by the shortest of all.
    pub(crate) error_mean: f64,
    pub(crate) error_p99: f64,
    /// Tables a second.
    pub(crate) swaps: f64,
}

/// One thread's picks.
#[derive(Default)]
struct Seen {
    cpu: Vec<f64>,
    wall: Vec<f64>,
    errors: Vec<f64>,
    swaps: usize,
}

/// Starts the coordinator, waits until all nodes are in its table, and picks.
pub(crate) async fn measure(config: &Path, nodes: usize, time: Duration) -> Result<Picked> {
    let config: CoordinatorConfig = toml::from_str(&std::fs::read_to_string(config)?)?;
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let coordinator = Coordinator::start(config, Env::real(), metrics).await?;
    let routing = coordinator.routing().clone();
    let serve = tokio::spawn(coordinator.serve(std::future::pending()));
    let began = Instant::now();
    while fresh(&routing) < nodes {
        ensure!(!serve.is_finished(), "the coordinator has ended");
        ensure!(began.elapsed() < PATIENCE, "{} of {nodes} nodes are in the table", fresh(&routing));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let pickers = (0..THREADS).map(|seed| {
        let routing = routing.clone();
        std::thread::spawn(move || picks(&routing, seed, time))
    });
    let pickers: Vec<_> = pickers.collect();
    let seen: Vec<Seen> = tokio::task::spawn_blocking(|| {
        let join = |picker: std::thread::JoinHandle<Result<Seen>>| match picker.join() {
            Ok(seen) => seen,
            Err(_) => bail!("a thread that picks has panicked"),
        };
        pickers.into_iter().map(join).collect::<Result<Vec<_>>>()
    })
    .await??;
    let still = fresh(&routing);
    ensure!(still >= nodes * 99 / 100, "only {still} of {nodes} nodes were heard to the end");
    summary(&seen, nodes, time)
}

/// Candidates whose nodes were heard lately.
fn fresh(routing: &Routing) -> usize {
    routing.look(|table, _| table.candidates().filter(|candidate| candidate.age < FRESH).count())
}

fn picks(routing: &Routing, seed: u64, time: Duration) -> Result<Seen> {
    let random = SeededRandom::new(seed);
    let (region, model) = (Region::new(REGION)?, ModelId::new(MODEL)?);
    let mut seen = Seen::default();
    let mut last_table = 0;
    let began = Instant::now();
    for n in 0.. {
        if began.elapsed() > time {
            break;
        }
        std::thread::sleep(PACE);
        let context =
            PickContext { region: &region, exclude: &[], numerics: None, random: random.next_u64() };
        let (cpu, wall) = (cpu_now(), Instant::now());
        let (cpu_end, wall_end, error, table) = routing.look(|table, own| {
            let picked = pick(table, &model, None, &context, own).map(|pick| pick.candidate);
            let (cpu_end, wall_end) = (cpu_now(), Instant::now());
            let held = n % HELD_AGAINST_ALL == 0;
            let error = picked.map(|picked| {
                let expected = picked.expected_with(own(picked.fence.replica));
                held.then(|| expected.as_secs_f64() / best(table, &model, own).as_secs_f64())
            });
            (cpu_end, wall_end, error, std::ptr::from_ref(table) as usize)
        });
        seen.cpu.push((cpu_end - cpu).as_secs_f64() * 1e6);
        seen.wall.push((wall_end - wall).as_secs_f64() * 1e6);
        seen.errors.extend(error?);
        seen.swaps += usize::from(std::mem::replace(&mut last_table, table) != table);
    }
    Ok(seen)
}

/// The shortest expected time of all that a request may be sent to.
fn best(table: &RoutingTable, model: &ModelId, own: &dyn Fn(ReplicaId) -> Own) -> Duration {
    let open = table.ready(model).filter(|candidate| candidate.rank == Rank::Open);
    open.map(|candidate| candidate.expected_with(own(candidate.fence.replica))).min().unwrap_or_default()
}

/// Time that this thread has computed.
fn cpu_now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

fn summary(seen: &[Seen], candidates: usize, time: Duration) -> Result<Picked> {
    let swaps = seen.iter().map(|seen| seen.swaps.saturating_sub(1)).max().unwrap_or_default();
    let sorted = |of: fn(&Seen) -> &Vec<f64>| {
        let mut all: Vec<f64> = seen.iter().flat_map(of).copied().collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let (cpu, wall, errors) = (sorted(|s| &s.cpu), sorted(|s| &s.wall), sorted(|s| &s.errors));
    Ok(Picked {
        candidates,
        picks: cpu.len(),
        cpu_p50: at(&cpu, 500)?,
        cpu_p99: at(&cpu, 990)?,
        wall_p50: at(&wall, 500)?,
        wall_p99: at(&wall, 990)?,
        error_mean: errors.iter().sum::<f64>() / errors.len().max(1) as f64,
        error_p99: at(&errors, 990)?,
        swaps: swaps as f64 / time.as_secs_f64(),
    })
}

/// What so many of a thousand do not exceed.
fn at(sorted: &[f64], permille: usize) -> Result<f64> {
    let last = sorted.len().checked_sub(1).context("nothing was picked")?;
    sorted.get(last * permille / 1000).copied().context("a share of a thousand")
}
