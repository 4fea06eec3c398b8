//! Leaders killed without warning under a write load: nothing acknowledged is lost, nothing is applied twice.
//!
//! Every round prints the time from the kill to the first write acknowledged after it; nothing is asserted on it.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::seats::Cluster;

/// Kills in one run of the tests.
const KILLS: u64 = 3;
/// Writes acknowledged between two kills.
const WRITES: u128 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_leaders_are_killed() {
    let mut cluster = Cluster::start().await;
    let mut acknowledged = BTreeSet::new();
    let mut uuid = 0;
    for round in 1..=KILLS {
        for _ in 0..WRITES {
            uuid += 1;
            acknowledged.insert((cluster.write(uuid).await, uuid));
        }
        let leader = cluster.leader().await;
        cluster.seats[leader].kill();
        let killed = Instant::now();
        uuid += 1;
        acknowledged.insert((cluster.write(uuid).await, uuid));
        println!("round {round}: a write {} ms after the kill", killed.elapsed().as_millis());
        cluster.seats[leader].restart();
    }
    assert_eq!(acknowledged.iter().map(|(node, _)| node).collect::<BTreeSet<_>>().len(), uuid as usize);
    let nodes: BTreeSet<u64> = acknowledged.iter().map(|(node, _)| *node).collect();
    for seat in 0..3 {
        cluster
            .until("every acknowledged write on every coordinator", async || {
                let status = cluster.status(seat).await?;
                let held: BTreeSet<u64> = status.nodes.iter().map(|node| node.node).collect();
                (held == nodes && status.violations.is_empty()).then_some(())
            })
            .await;
    }
}
