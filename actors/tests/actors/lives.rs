//! A node obeys orders: it runs what it is told, stops what is no longer named, and replaces a generation in turn.

use helixflow_env::Env;
use helixflow_model::ReplicaPhase;

use crate::coordinator::{Coordinator, NODE};
use crate::host::{FakeHost, Mood, read, start};

#[tokio::test(start_paused = true)]
async fn a_node_joins_runs_its_part_and_reports_it() {
    let env = Env::simulated(1);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::Well);
    let _node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1)]);
    let report = coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    let load = report.replicas[0].load;
    assert_eq!((report.node.0, load.queued, load.busy_milli), (NODE, 3, 3000));
    assert_eq!(report.replicas[0].numerics.0, "fake-1");
    assert_eq!(read(&mut log), ["fetch replica-1 g1", "load replica-1 g1"]);
    let later =
        coordinator.report(|later| later.sequence > report.sequence && !later.boards.is_empty()).await;
    assert_eq!(later.boards[0].info.board.as_str(), "fake-0");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_named_is_drained_and_dropped() {
    let env = Env::simulated(2);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::Well);
    let _node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1), (2, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    coordinator.phase(2, 1, ReplicaPhase::Ready).await;
    read(&mut log);
    coordinator.order(6, &[(2, 1)]);
    coordinator.report(|report| report.replicas.len() == 1).await;
    assert_eq!(read(&mut log), ["drain replica-1 g1", "drained replica-1 g1", "drop replica-1 g1"]);
}

#[tokio::test(start_paused = true)]
async fn a_newer_generation_begins_when_the_older_one_is_gone() {
    let env = Env::simulated(3);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::Well);
    let _node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    read(&mut log);
    host.mood.send_replace(Mood::Busy);
    coordinator.order(6, &[(1, 2)]);
    coordinator.phase(1, 1, ReplicaPhase::Draining).await;
    host.mood.send_replace(Mood::Well);
    coordinator.phase(1, 2, ReplicaPhase::Ready).await;
    let order = [
        "drain replica-1 g1",
        "drained replica-1 g1",
        "drop replica-1 g1",
        "fetch replica-1 g2",
        "load replica-1 g2",
    ];
    assert_eq!(read(&mut log), order);
}

#[tokio::test(start_paused = true)]
async fn a_part_withdrawn_while_it_is_fetched_ends_at_once() {
    let env = Env::simulated(4);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::FetchesForEver);
    let _node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1)]);
    let report = coordinator.report(|report| report.replicas.iter().any(|r| !r.detail.is_empty())).await;
    assert_eq!(report.replicas[0].detail, "7 of 9 bytes");
    coordinator.order(6, &[]);
    coordinator.report(|report| report.replicas.is_empty()).await;
    assert_eq!(read(&mut log), ["fetch replica-1 g1"]);
}
