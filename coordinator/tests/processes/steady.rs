//! A group keeps its leader while every core is busy with something else.

use std::process::{Child, Command};
use std::time::Duration;

use tokio::time::sleep;

use crate::seats::Cluster;

/// How long the group is watched.
const WATCHED: Duration = Duration::from_secs(60);

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

async fn term(cluster: &Cluster) -> u64 {
    let leader = cluster.leader().await;
    cluster.until("a status", async || cluster.status(leader).await.map(|status| status.term)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute and every core; `make verify-saturation` runs it"]
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
