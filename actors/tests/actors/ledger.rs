//! A node whose ledger cannot be written goes on as it was, and obeys what it was told once the disk takes it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use helixflow_actors::NodeActors;
use helixflow_env::Env;
use helixflow_env::disk::{Disk, DiskFaults, MemoryDisk};
use helixflow_model::{NodeReport, ReplicaPhase};
use tokio::time::Instant;

use crate::coordinator::{Coordinator, NODE};
use crate::host::{FakeHost, Mood, in_time, read, start};

/// How long a node waits before it tries a write again.
const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A world, and its disk.
fn world(seed: u64) -> (Env, MemoryDisk) {
    let disk = MemoryDisk::default();
    (Env { disk: Arc::new(disk.clone()), ..Env::simulated(seed) }, disk)
}

fn fill(disk: &MemoryDisk, full: bool) {
    disk.set_faults(DiskFaults { full, ..DiskFaults::default() });
}

/// The first report after the disk has refused once more.
async fn refused(coordinator: &Coordinator, disk: &MemoryDisk) -> NodeReport {
    let before = disk.refusals();
    coordinator.report(|_| disk.refusals() > before).await
}

/// What the supervisor says of itself.
fn says(node: &NodeActors<FakeHost>) -> String {
    node.tree().latest().doing
}

fn runs(report: &NodeReport) -> Vec<(u64, ReplicaPhase)> {
    report.replicas.iter().map(|replica| (replica.fence.replica.0, replica.phase)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_disk_is_full_serves_on_and_obeys_the_newest_orders_once_there_is_room() {
    let (env, disk) = world(1);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::Well);
    let node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    read(&mut log);
    fill(&disk, true);
    coordinator.order(6, &[(2, 1)]);
    refused(&coordinator, &disk).await;
    coordinator.order(8, &[(3, 1)]);
    refused(&coordinator, &disk).await;
    // A coordinator that lags behind.
    coordinator.order(7, &[(4, 1)]);
    let report = refused(&coordinator, &disk).await;
    assert_eq!(runs(&report), [(1, ReplicaPhase::Ready)]);
    assert_eq!(read(&mut log), <[&str; 0]>::default());
    let said = says(&node);
    assert!(
        said.contains("obeys epoch 5") && said.contains("accepted.json; check the disk's space"),
        "{said}"
    );

    fill(&disk, false);
    let report = coordinator.report(|report| runs(report) == [(3, ReplicaPhase::Ready)]).await;
    assert_eq!(report.node.0, NODE);
    let log = read(&mut log);
    assert!(log.contains(&"drained replica-1 g1".to_owned()), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("replica-2") || line.contains("replica-4")), "{log:?}");
    assert_eq!(says(&node), "obeys epoch 8 of incarnation 1");
}

#[tokio::test(start_paused = true)]
async fn a_node_speaks_under_a_new_id_only_once_it_is_on_the_disk_and_orders_wait_behind_it() {
    let (env, disk) = world(2);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::Well);
    let mut node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    node.shut_down();
    in_time(node.ended()).await;
    // The node comes back as another member than the one that its coordinator makes of it.
    let ledger = Path::new("/node/accepted.json");
    let record = String::from_utf8(disk.read(ledger).expect("a ledger")).expect("text");
    let of_another = record.replace(&format!("\"node\": {NODE}"), "\"node\": 3");
    assert_ne!(of_another, record);
    disk.write_durably(ledger, of_another.as_bytes()).expect("a disk that works");
    read(&mut log);

    fill(&disk, true);
    coordinator.order(6, &[(2, 1)]);
    let node = start(&env, &host).await;
    coordinator.report(|report| report.node.0 == 3).await;
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    for _ in 0..3 {
        let report = refused(&coordinator, &disk).await;
        assert_eq!((report.node.0, runs(&report)), (3, vec![(1, ReplicaPhase::Ready)]));
    }
    assert_eq!(read(&mut log), ["fetch replica-1 g1", "load replica-1 g1"]);
    fill(&disk, false);
    let report = coordinator.phase(2, 1, ReplicaPhase::Ready).await;
    assert_eq!(report.node.0, NODE);
    coordinator.report(|report| runs(report) == [(2, ReplicaPhase::Ready)]).await;
    assert_eq!(says(&node), "obeys epoch 6 of incarnation 1");
}

#[tokio::test(start_paused = true)]
async fn however_much_is_told_while_the_disk_is_full_one_retry_is_under_way() {
    let (env, disk) = world(3);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    fill(&disk, true);
    let mut sequence = 0;
    for epoch in 6..16 {
        let before = disk.refusals();
        coordinator.order(epoch, &[(1, 1)]);
        sequence = coordinator.report(|_| disk.refusals() > before).await.sequence;
    }
    let (before, began) = (disk.refusals(), Instant::now());
    coordinator.report(|report| report.sequence > sequence + 30).await;
    let most = began.elapsed().as_secs() / WRITE_AGAIN_AFTER.as_secs() + 1;
    let tried = disk.refusals() - before;
    assert!((1..=most).contains(&tried), "{tried} times, at most {most}");
    fill(&disk, false);
    coordinator.report(|_| says(&node) == "obeys epoch 15 of incarnation 1").await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_shut_down_while_its_disk_is_full_ends_and_comes_back_as_it_was() {
    let (env, disk) = world(4);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::Well);
    let mut node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    fill(&disk, true);
    coordinator.order(6, &[(2, 1)]);
    refused(&coordinator, &disk).await;
    // Its streams run for longer than the pause before the next try.
    host.mood.send_replace(Mood::Busy);
    node.shut_down();
    coordinator.phase(1, 1, ReplicaPhase::Draining).await;
    fill(&disk, false);
    in_time(node.ended()).await;
    assert!(!read(&mut log).iter().any(|line| line.contains("replica-2")));

    let alone = Env { network: Env::simulated(0).network, ..env };
    let node = start(&alone, &host).await;
    let mut reports = node.reports();
    let is_back = |report: &NodeReport| runs(report) == [(1, ReplicaPhase::Ready)];
    assert!(reports.wait_for(is_back).await.is_some());
    assert_eq!(says(&node), "obeys epoch 5 of incarnation 1");
}
