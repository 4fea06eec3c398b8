//! Leaders killed without warning while clients write and read: nothing acknowledged is lost, nothing is applied twice,
//! and every history is linearizable.
//!
//! A part is a fresh cluster and [`KILLS`] kills. `cargo test` does one and asserts no times; `make verify-kills` does as
//! many as it takes, on the optimised binary, and holds the times to their bars.

use std::time::Duration;

use helixflow_env::Env;
use tokio::time::Instant;

use crate::clients::{Clients, Recorded};
use crate::history::{Seen, violation};
use crate::seats::Cluster;
use crate::tally::{LongRun, Tally};

/// Kills in one part.
const KILLS: usize = 20;
/// A long run begins no part after this time, so that it ends within 90 minutes.
const LONGEST_RUN: Duration = Duration::from_secs(80 * 60);
/// Of the kills of a long run, 99 of 100 must be over in this time, on the local default timings.
const P99_BAR: Duration = Duration::from_secs(1);
/// And all of them in this.
const WORST_BAR: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_applied_twice_when_leaders_are_killed() {
    let Some(long) = LongRun::asked() else {
        part(1).await.print();
        return;
    };
    let (env, began) = (Env::real(), Instant::now());
    let mut tally = long.resume(&env);
    while tally.kills() < long.wanted && began.elapsed() < LONGEST_RUN {
        tally.add(part(tally.parts + 1).await);
        long.keep(&env, &tally);
        tally.print();
    }
    assert!(
        tally.kills() >= long.wanted,
        "{} of {} kills: run it again to go on",
        tally.kills(),
        long.wanted
    );
    let again = "the count is kept: remove it to begin anew";
    assert!(tally.failover(99) < P99_BAR, "p99 {:?}; {again}", tally.failover(99));
    assert!(tally.failover(100) < WORST_BAR, "worst {:?}; {again}", tally.failover(100));
}

/// One cluster, its leader killed again and again.
async fn part(number: u64) -> Tally {
    let mut cluster = Cluster::start().await;
    let clients = Clients::start(&cluster, number);
    let mut kills = Vec::new();
    for round in 1..=KILLS {
        let leader = cluster.settled().await;
        clients.write_sent_after(clients.now()).await;
        let killed = clients.now();
        cluster.seats[leader].kill();
        clients.write_sent_after(killed).await;
        let written = Duration::from_nanos(clients.now() - killed);
        println!("part {number}, kill {round} of {KILLS}: a write {} ms later", written.as_millis());
        cluster.seats[leader].restart();
        kills.push(killed);
    }
    cluster.settled().await;
    let Recorded { seen, repeated } = clients.finish(&cluster, number).await;
    let wrong = violation(&seen);
    assert_eq!(wrong, None, "part {number} of {} operations", seen.len());
    for seat in 0..cluster.seats.len() {
        let status = cluster.until("a status", async || cluster.status(seat).await).await;
        assert_eq!(status.violations, [""; 0]);
    }
    Tally {
        parts: 1,
        failovers_ms: kills.iter().map(|killed| failover_ms(&seen, *killed)).collect(),
        operations: seen.len() as u64,
        repeated_writes: repeated,
        unknown_writes: seen.iter().filter(|seen| seen.is_unknown_write()).count() as u64,
    }
}

/// From a kill to the first answer to a write that was sent after it.
fn failover_ms(seen: &[Seen], killed: u64) -> u64 {
    let writes = seen.iter().filter(|seen| seen.is_acknowledged_write() && seen.operation.invoked >= killed);
    let first = writes.filter_map(|seen| seen.operation.returned).min().expect("a write after each kill");
    Duration::from_nanos(first - killed).as_millis() as u64
}
