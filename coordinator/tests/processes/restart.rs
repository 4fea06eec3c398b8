//! Coordinators that start again and again, and one that was away for so long that the log no longer helps it.
//!
//! A hundred restarts take minutes, so `cargo test` leaves them out and `make verify-restarts` does them.

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, stream};
use helixflow_proto::v1::PutTenantRequest;
use tokio::time::sleep;

use crate::seats::{Cluster, Seat};

/// Restarts in a row.
const RESTARTS: usize = 100;
/// Writes between two restarts: with all of them the log would fill eight segments of 8 MiB.
const WRITES_BETWEEN: usize = 2_000;
/// What the log keeps, some 7,000 entries, lies in two segments at most; a third lies ready, and there is a snapshot.
const MOST_ON_DISK_KIB: u64 = 3 * 8 * 1024 + 1024;
/// Writes while one is away: the log that it lacks is compacted twice meanwhile.
const WRITES_AWAY: usize = 12_000;
/// How long it stays away after them: a leader that tries it anew, every half second, finds the log gone and makes a
/// snapshot ready.
const AWAY: Duration = Duration::from_secs(2);
/// Writes on their way at the same time.
const AT_ONCE: usize = 64;
/// Tenants that are written to in turn.
const TENANTS: usize = 64;
/// Bytes of a value.
const VALUE_BYTES: usize = 256;
/// By how much the memory of the last restarts may exceed that of earlier ones: allocators differ from time to time, a
/// leak of a log entry each would double it.
const SLACK: f64 = 1.25;

/// Writes so many times, at whichever coordinator answers.
async fn write(cluster: &Cluster, writes: usize) {
    let value = "v".repeat(VALUE_BYTES);
    let clients: Vec<_> = (0..cluster.seats.len()).map(|seat| cluster.client(seat)).collect();
    let put = |number: usize| {
        let request = PutTenantRequest {
            tenant: format!("tenant-{}", number % TENANTS),
            display_name: value.clone(),
            ..PutTenantRequest::default()
        };
        let clients = &clients;
        async move {
            cluster
                .until("an acknowledged write", async || {
                    for client in clients {
                        if client.clone().put_tenant(request.clone()).await.is_ok() {
                            return Some(());
                        }
                    }
                    None
                })
                .await;
        }
    };
    stream::iter(0..writes).map(put).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// Memory in use by the process, and its data on disk, in KiB.
#[derive(Clone, Copy, Debug)]
struct Size {
    memory: u64,
    disk: u64,
}

impl Size {
    #[expect(clippy::disallowed_methods, reason = "a test looks at a real process")]
    fn of(seat: &Seat) -> Self {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", seat.pid())).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        let memory = line.trim_end_matches("kB").trim().parse().expect("a number of KiB");
        Self { memory, disk: bytes_under(&seat.data_dir()) / 1024 }
    }
}

/// Bytes of all files in a folder; one that goes meanwhile counts as none.
fn bytes_under(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_under(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// The middle of their memory.
fn median(sizes: &[Size]) -> f64 {
    let mut figures: Vec<u64> = sizes.iter().map(|size| size.memory).collect();
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().expect("sizes") as f64
}

fn assert_flat(who: &str, sizes: &[Size]) {
    let quarter = sizes.len() / 4;
    // The first quarter fills the log up to its first compactions.
    let (early, late) = (&sizes[quarter..2 * quarter], &sizes[sizes.len() - quarter..]);
    let (before, after) = (median(early), median(late));
    let disk = sizes.iter().map(|size| size.disk).max().expect("sizes");
    println!(
        "{who}: {before} KiB of memory in the second quarter, {after} KiB in the last; {disk} KiB on disk at most"
    );
    assert!(after <= before * SLACK, "{who}: the memory grows");
    assert!(disk <= MOST_ON_DISK_KIB, "{who}: the log is not cut");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; `make verify-restarts` runs it"]
async fn a_hundred_restarts_leave_memory_and_disk_flat() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.settled().await;
    let followers: Vec<usize> = (0..cluster.seats.len()).filter(|seat| *seat != leader).collect();
    let (mut restarted, mut stayed) = (Vec::new(), Vec::new());
    for round in 0..RESTARTS {
        write(&cluster, WRITES_BETWEEN).await;
        let seat = followers[round % followers.len()];
        cluster.seats[seat].kill();
        cluster.seats[seat].restart();
        cluster.settled().await;
        restarted.push(Size::of(&cluster.seats[seat]));
        stayed.push(Size::of(&cluster.seats[leader]));
        if round % 10 == 9 {
            println!(
                "{} of {RESTARTS} restarts: {:?}, and {:?} of one that stayed",
                round + 1,
                restarted[round],
                stayed[round]
            );
        }
    }
    assert_flat("restarted coordinators", &restarted);
    assert_flat("the coordinator that stayed", &stayed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_was_away_for_long_comes_back_by_a_snapshot() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.settled().await;
    let away = (leader + 1) % cluster.seats.len();
    cluster.seats[away].kill();
    write(&cluster, WRITES_AWAY).await;
    sleep(AWAY).await;
    cluster.seats[away].restart();
    cluster.settled().await;
    assert_eq!(cluster.metric(away, "helixflow_raft_snapshots_received").await, 1.0);
    // What it holds now survives its own restart.
    cluster.seats[away].kill();
    cluster.seats[away].restart();
    cluster.settled().await;
    assert_eq!(cluster.metric(away, "helixflow_raft_snapshots_received").await, 0.0);
    write(&cluster, 1).await;
}
