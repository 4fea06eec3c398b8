//! A group keeps its leader while every core is busy with something else.

use std::process::{Child, Command};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::seats::Cluster;

/// Names how many seconds the group is watched; `make verify-…` sets it.
const WINDOW: &str = "HELIXFLOW_WINDOW_SECONDS";
/// The seconds where nothing is said.
const USUAL_WINDOW: u64 = 60;
/// How often the term is looked at, and told.
const LOOK: Duration = Duration::from_secs(10);

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

/// The term that every seat is in, all of them under one leader.
async fn term(cluster: &Cluster) -> u64 {
    let leader = cluster.settled().await;
    cluster.until("a status", async || cluster.status(leader).await.map(|status| status.term)).await
}

/// The longest that any follower has heard nothing of the leader, in milliseconds.
async fn longest_silence(cluster: &Cluster) -> f64 {
    let mut longest: f64 = 0.0;
    for seat in 0..cluster.seats.len() {
        longest =
            longest.max(cluster.metric(seat, "helixflow_raft_longest_leader_silence_seconds").await * 1000.0);
    }
    longest
}

fn window() -> Duration {
    let set = std::env::var(WINDOW).ok();
    Duration::from_secs(set.map_or(USUAL_WINDOW, |seconds| seconds.parse().expect("a number of seconds")))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and every core; `make verify-saturation` and `make verify-stress` run it"]
async fn a_machine_whose_cores_are_all_busy_holds_no_election() {
    let cluster = Cluster::start().await;
    let before = term(&cluster).await;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let busy: Vec<Busy> = (0..cores * 2).map(|_| Busy::start()).collect();
    let (began, window) = (Instant::now(), window());
    while began.elapsed() < window {
        sleep(LOOK.min(window.saturating_sub(began.elapsed()))).await;
        assert_eq!(term(&cluster).await, before, "the term has changed after {:?}", began.elapsed());
        println!(
            "{} of {} s beside {} busy loops: no election, the leader silent for {:.0} ms at most",
            began.elapsed().as_secs(),
            window.as_secs(),
            busy.len(),
            longest_silence(&cluster).await,
        );
    }
}
