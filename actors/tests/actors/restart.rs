//! What fails is restarted within its budget, then reported; what restarts remembers.

use helixflow_env::Env;
use helixflow_model::ReplicaPhase;

use crate::coordinator::Coordinator;
use crate::host::{FakeHost, Mood, read, start};

#[tokio::test(start_paused = true)]
async fn a_shard_that_keeps_failing_is_reported_with_its_reason_and_tried_again_later() {
    let env = Env::simulated(1);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::CannotLoad);
    let _node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1)]);
    let report = coordinator.phase(1, 1, ReplicaPhase::Failed).await;
    assert_eq!(report.replicas[0].detail, "no memory today");
    let loads = |log: Vec<String>| log.iter().filter(|line| line.starts_with("load")).count();
    assert_eq!(loads(read(&mut log)), 6, "the first start and the five restarts of the budget");
    host.mood.send_replace(Mood::Well);
    let report = coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    assert_eq!(report.replicas[0].detail, "");
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_panics_is_restarted_and_its_replica_dropped() {
    let env = Env::simulated(2);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::Well);
    let _node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    host.mood.send_replace(Mood::PanicsWhenChecked);
    let report = coordinator.phase(1, 1, ReplicaPhase::Fetching).await;
    assert!(report.replicas[0].detail.contains("the engine is on fire"), "{report:?}");
    host.mood.send_replace(Mood::Well);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    let expected = [
        "fetch replica-1 g1",
        "load replica-1 g1",
        "drop replica-1 g1",
        "fetch replica-1 g1",
        "load replica-1 g1",
    ];
    assert_eq!(read(&mut log), expected);
}

#[tokio::test(start_paused = true)]
async fn what_trying_again_cannot_mend_fails_at_once() {
    let env = Env::simulated(3);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::WillNeverLoad);
    let _node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1)]);
    let report = coordinator.phase(1, 1, ReplicaPhase::Failed).await;
    assert_eq!(report.replicas[0].detail, "half a model is not served");
    assert_eq!(read(&mut log), ["fetch replica-1 g1", "load replica-1 g1"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_restarts_alone_brings_its_parts_back() {
    let env = Env::simulated(4);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let mut node = start(&env, &host).await;
    coordinator.order(5, &[(1, 3)]);
    coordinator.phase(1, 3, ReplicaPhase::Ready).await;
    node.shut_down();
    node.ended().await;

    let alone = Env { network: Env::simulated(0).network, ..env };
    let node = start(&alone, &host).await;
    let mut reports = node.reports();
    let is_ready = |report: &helixflow_model::NodeReport| {
        report.replicas.iter().any(|r| r.fence.generation.0 == 3 && r.phase == ReplicaPhase::Ready)
    };
    let back = reports.wait_for(is_ready).await;
    assert!(back.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lower_epoch_after_a_restart_is_ignored() {
    let env = Env::simulated(5);
    let coordinator = Coordinator::start(&env).await;
    let (host, _log) = FakeHost::new(Mood::Well);
    let mut node = start(&env, &host).await;
    coordinator.order(9, &[(1, 3)]);
    coordinator.phase(1, 3, ReplicaPhase::Ready).await;
    node.shut_down();
    node.ended().await;

    coordinator.order(8, &[(2, 1)]);
    let _node = start(&env, &host).await;
    coordinator.order(10, &[(1, 3), (3, 1)]);
    let report = coordinator.phase(3, 1, ReplicaPhase::Ready).await;
    let replicas: Vec<u64> = report.replicas.iter().map(|r| r.fence.replica.0).collect();
    assert_eq!(replicas, [1, 3], "replica 2 was never run");
}
