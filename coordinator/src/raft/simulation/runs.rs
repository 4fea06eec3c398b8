//! The tests: runs in processes of their own, for one simulation at a time may run in a process.

use std::process::{Command, Stdio};

use super::planted::Bug;
use super::world::{Report, Run};

/// Tells a child what to run: first and last seed, and a planted bug or "none".
const CHILD: &str = "HELIXFLOW_SIMULATE";

/// Coordinators in the run of a seed.
fn coordinators(seed: u64) -> u64 {
    if seed.is_multiple_of(3) { 5 } else { 3 }
}

/// Runs the seeds that the environment names, when it does.
#[test]
fn a_simulation_of_its_own_process() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let parts: Vec<&str> = told.split(' ').collect();
    let [first, last, bug] = parts[..] else { panic!("{CHILD} is FIRST LAST BUG") };
    let (first, last): (u64, u64) = (first.parse().expect("a seed"), last.parse().expect("a seed"));
    for seed in first..=last {
        let run = Run { seed, coordinators: coordinators(seed), bug: bug.parse::<Bug>().ok() };
        let Report { events, simulated, operations, recovered, violation } = run.run();
        let digest = crc32c::crc32c(events.as_bytes());
        if let Ok(path) = std::env::var("HELIXFLOW_SIMULATE_LOG") {
            helixflow_env::Disk::write_durably(
                &helixflow_env::disk::RealDisk,
                path.as_ref(),
                events.as_bytes(),
            )
            .expect("a log");
        }
        println!(
            "seed {seed} digest {digest:08x} ms {} operations {operations} recovered {} {}",
            simulated.as_millis(),
            recovered.as_millis(),
            violation.as_deref().unwrap_or("ok"),
        );
    }
}

#[test]
fn trial() {
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["raft::simulation::runs::a_simulation_of_its_own_process", "--exact", "--nocapture"])
        .env(CHILD, std::env::var("RUNS").unwrap_or("1 3 none".to_owned()))
        .stdout(Stdio::inherit())
        .status();
    assert!(child.expect("a child").success());
}
