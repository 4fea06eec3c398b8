//! The tests: many seeds, each planted bug, the same seed twice.
//!
//! Every simulation runs in a process of its own (this program once more, told by its environment what to run), since
//! one at a time may run in a process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use helixflow_env::Disk;
use helixflow_env::disk::RealDisk;
use parking_lot::Mutex;

use super::planted::{BUGS, Bug};
use super::world::{Report, Run, Scenario};

/// Tells a child what to run: `SCENARIO BUG SEED...`, with "none" for no bug.
const CHILD: &str = "HELIXFLOW_SIMULATE";
/// A folder for the events of each run.
const EVENTS: &str = "HELIXFLOW_SIMULATE_EVENTS";
/// How many seeds to run, and the first of them.
const SEEDS: &str = "HELIXFLOW_SEEDS";
const FIRST_SEED: &str = "HELIXFLOW_FIRST_SEED";

/// Seeds in one run of the tests.
const DEFAULT_SEEDS: u64 = 200;
/// Seeds that a child runs before the next one starts.
const SEEDS_A_CHILD: u64 = 10;
/// Seeds that a planted bug may take to be caught.
const BUG_SEEDS: u64 = 400;
/// Every way to lose the leader, and the seeds of each.
const LOSSES: [Scenario; 5] = [
    Scenario::MutedLeader,
    Scenario::DeafLeader,
    Scenario::BridgedLeader,
    Scenario::KilledLeader,
    Scenario::DarkLeader,
];
const LOSS_SEEDS: u64 = 8;

/// Coordinators in the run of a seed.
fn coordinators(seed: u64, scenario: Scenario) -> u64 {
    if seed.is_multiple_of(3) || scenario == Scenario::BridgedLeader { 5 } else { 3 }
}

fn scenario(name: &str) -> Scenario {
    let mut all = LOSSES.into_iter().chain([Scenario::Faults]);
    all.find(|scenario| format!("{scenario:?}") == name).expect("a scenario")
}

/// Runs what the environment names, when it does.
#[test]
fn a_simulation_of_its_own_process() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let mut words = told.split(' ');
    let scenario = scenario(words.next().unwrap_or_default());
    let bug = words.next().and_then(|name| name.parse::<Bug>().ok());
    for (run, seed) in words.map(|seed| seed.parse::<u64>().expect("a seed")).enumerate() {
        println!("begin {seed}");
        let coordinators = coordinators(seed, scenario);
        let Report { events, simulated, operations, recovered, violation } =
            Run { seed, coordinators, scenario, bug }.run();
        if let Ok(folder) = std::env::var(EVENTS) {
            let path = format!("{folder}/{seed}-{run}");
            RealDisk.write_durably(path.as_ref(), events.as_bytes()).expect("a file of events");
        }
        let (simulated, recovered) = (simulated.as_millis(), recovered.as_millis());
        println!("end {seed} {simulated} {operations} {recovered} {}", violation.unwrap_or("ok".to_owned()));
    }
}

/// What one run said.
#[derive(Debug, Default)]
struct Outcome {
    simulated_ms: u64,
    operations: u64,
    recovered_ms: u64,
    /// "ok", or what was violated.
    said: String,
}

impl Outcome {
    fn parse(line: &str) -> Option<(u64, Self)> {
        let mut words = line.strip_prefix("end ")?.splitn(5, ' ');
        let mut number = || words.next()?.parse().ok();
        let (seed, simulated_ms, operations, recovered_ms) = (number()?, number()?, number()?, number()?);
        Some((seed, Self { simulated_ms, operations, recovered_ms, said: words.next()?.to_owned() }))
    }
}

/// Runs seeds in one process. One that dies leaves its seed with what it said last.
fn child(
    scenario: Scenario,
    bug: Option<Bug>,
    seeds: &[u64],
    events: Option<&str>,
) -> BTreeMap<u64, Outcome> {
    let bug = bug.map_or("none".to_owned(), |bug| format!("{bug:?}"));
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["raft::simulation::runs::a_simulation_of_its_own_process", "--exact", "--nocapture"])
        .env(CHILD, format!("{scenario:?} {bug} {}", seeds.join(" ")))
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(folder) = events {
        command.env(EVENTS, folder);
    }
    let mut child = command.spawn().expect("a process");
    let mut outcomes = BTreeMap::new();
    let mut begun = None;
    for line in BufReader::new(child.stdout.take().expect("its output")).lines() {
        let line = line.expect("a line");
        if let Some((seed, outcome)) = Outcome::parse(&line) {
            outcomes.insert(seed, outcome);
            begun = None;
        } else if let Some(seed) = line.strip_prefix("begin ") {
            begun = seed.parse().ok();
        }
    }
    if !child.wait().expect("its end").success()
        && let Some(seed) = begun
    {
        let said = "the process died: an assertion of Raft's own".to_owned();
        outcomes.insert(seed, Outcome { said, ..Outcome::default() });
    }
    outcomes
}

/// Runs seeds in as many processes as there are cores.
fn all(scenario: Scenario, seeds: impl Iterator<Item = u64>) -> BTreeMap<u64, Outcome> {
    let seeds: Vec<u64> = seeds.collect();
    let chunks = Mutex::new(seeds.chunks(SEEDS_A_CHILD as usize));
    let outcomes = Mutex::new(BTreeMap::new());
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                while let Some(chunk) = { chunks.lock().next() } {
                    let done = child(scenario, None, chunk, None);
                    let mut outcomes = outcomes.lock();
                    outcomes.extend(done);
                    if outcomes.len().is_multiple_of(100) {
                        println!("{} of {} seeds", outcomes.len(), seeds.len());
                    }
                }
            });
        }
    });
    let outcomes = outcomes.into_inner();
    let violated: Vec<String> = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.said != "ok")
        .map(|(seed, outcome)| format!("seed {seed}: {}\n  make simulate SEED={seed}", outcome.said))
        .collect();
    assert!(violated.is_empty(), "{scenario:?}:\n{}", violated.join("\n"));
    assert_eq!(outcomes.len(), seeds.len(), "some seeds said nothing");
    outcomes
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn print(name: &str, outcomes: &BTreeMap<u64, Outcome>, wall: std::time::Duration) {
    let sum = |of: fn(&Outcome) -> u64| outcomes.values().map(of).sum::<u64>();
    let mut recovered: Vec<u64> = outcomes.values().map(|outcome| outcome.recovered_ms).collect();
    recovered.sort_unstable();
    // Past the test harness, which shows what a test prints only when it fails.
    let said = writeln!(
        std::io::stderr(),
        "{name}: {} seeds, {:.2} simulated hours, {} operations, no violation, {:.0} s; recovered in {} ms in the \
         median, {} ms at worst",
        outcomes.len(),
        sum(|outcome| outcome.simulated_ms) as f64 / 3_600_000.0,
        sum(|outcome| outcome.operations),
        wall.as_secs_f64(),
        recovered[recovered.len() / 2],
        recovered[recovered.len() - 1],
    );
    said.expect("standard error");
}

#[test]
fn coordinators_keep_their_word_through_every_fault() {
    let began = tokio::time::Instant::now();
    let first = number(FIRST_SEED, 1);
    let outcomes = all(Scenario::Faults, first..first + number(SEEDS, DEFAULT_SEEDS));
    print("faults", &outcomes, began.elapsed());
}

#[test]
fn writes_go_on_while_the_leader_is_down_or_cut_off_in_any_way() {
    for scenario in LOSSES {
        let began = tokio::time::Instant::now();
        let first = number(FIRST_SEED, 1);
        let seeds = number(SEEDS, DEFAULT_SEEDS) * LOSS_SEEDS / DEFAULT_SEEDS;
        let outcomes = all(scenario, first..first + seeds.max(1));
        print(&format!("{scenario:?}"), &outcomes, began.elapsed());
    }
}

#[test]
fn the_same_seed_gives_the_same_run_in_one_process_and_in_two() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let seeds = [3, 3, 8, 8];
    for folder in &folders {
        child(Scenario::Faults, None, &seeds, Some(&folder.path().display().to_string()));
    }
    for (run, seed) in seeds.iter().enumerate() {
        let [here, there] = folders.each_ref().map(|folder| {
            let path = folder.path().join(format!("{seed}-{run}"));
            String::from_utf8(RealDisk.read(&path).expect("its events")).expect("text")
        });
        let again = folders[0].path().join(format!("{seed}-{}", run ^ 1));
        let again = String::from_utf8(RealDisk.read(&again).expect("its events")).expect("text");
        assert!(here.lines().count() > 300, "{} events", here.lines().count());
        for (number, (a, b)) in here.lines().zip(there.lines()).enumerate() {
            assert_eq!(a, b, "line {number} of seed {seed} in two processes");
        }
        assert_eq!(here, there);
        assert_eq!(here, again, "seed {seed} twice in one process");
    }
}

#[test]
fn every_planted_bug_is_caught() {
    let bugs = Mutex::new(BUGS.into_iter());
    let caught = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                while let Some(bug) = { bugs.lock().next() } {
                    let first = first_violation(bug);
                    caught.lock().push((bug, first));
                }
            });
        }
    });
    for (bug, first) in caught.into_inner() {
        let (seeds, said) = first.unwrap_or_else(|| panic!("{bug:?} was not caught by {BUG_SEEDS} seeds"));
        let said: String = said.chars().take(100).collect();
        writeln!(std::io::stderr(), "{bug:?}: caught by {seeds} seeds: {said}").expect("standard error");
    }
}

/// How many seeds it takes to catch a bug, and how it is seen.
fn first_violation(bug: Bug) -> Option<(u64, String)> {
    (1..=BUG_SEEDS).find_map(|seed| {
        let mut outcomes = child(Scenario::Faults, Some(bug), &[seed], None);
        let said = outcomes.remove(&seed)?.said;
        (said != "ok").then_some((seed, said))
    })
}
