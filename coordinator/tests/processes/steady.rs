//! A group left alone: what it costs idle, and whether it keeps its leader while every core is busy.
//!
//! A minute each, so both run only when asked for: `--ignored --nocapture`.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use tokio::time::sleep;

use crate::seats::Cluster;

/// How long each is watched.
const WATCHED: Duration = Duration::from_secs(60);
/// The unit of times in `/proc`, on every Linux that we build for.
const TICKS_A_SECOND: f64 = 100.0;

/// A loop that never rests, at the priority of everybody else.
struct Busy(Child);

impl Busy {
    fn start() -> Self {
        Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("a busy process"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processor time that a process has used, in seconds.
fn used(cluster: &Cluster, seat: usize) -> f64 {
    let path = PathBuf::from(format!("/proc/{}/stat", cluster.seats[seat].pid()));
    let stat = cluster.env.disk.read(&path).expect("a running process");
    let text = String::from_utf8_lossy(&stat).into_owned();
    // Fields 14 and 15, counted behind the name, which may hold anything.
    let behind = text.rsplit(") ").next().expect("the fields behind the name");
    let field =
        |n: usize| -> f64 { behind.split(' ').nth(n).and_then(|f| f.parse().ok()).expect("a number") };
    (field(11) + field(12)) / TICKS_A_SECOND
}

async fn term(cluster: &Cluster) -> u64 {
    let leader = cluster.leader().await;
    cluster.until("a status", async || cluster.status(leader).await.map(|status| status.term)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute; run it alone"]
async fn an_idle_coordinator_is_told_by_its_processor_time() {
    let cluster = Cluster::start().await;
    cluster.write(1).await;
    let before: Vec<f64> = (0..3).map(|seat| used(&cluster, seat)).collect();
    sleep(WATCHED).await;
    for (seat, before) in before.iter().enumerate() {
        let share = (used(&cluster, seat) - before) / WATCHED.as_secs_f64();
        println!("seat {seat}: {:.2} % of a core", share * 100.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute; run it alone"]
async fn a_machine_whose_cores_are_all_busy_holds_no_election() {
    let cluster = Cluster::start().await;
    cluster.write(1).await;
    let before = term(&cluster).await;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let busy: Vec<Busy> = (0..cores * 2).map(|_| Busy::start()).collect();
    sleep(WATCHED).await;
    drop(busy);
    assert_eq!(term(&cluster).await, before, "the term has changed");
}
