//! A node that is shut down drains its shards before its actors end, within a bound.

use helixflow_env::Env;
use helixflow_model::ReplicaPhase;

use crate::coordinator::Coordinator;
use crate::host::{FakeHost, Mood, read, start};

#[tokio::test(start_paused = true)]
async fn every_shard_is_drained_before_the_node_ends() {
    let env = Env::simulated(1);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::Well);
    let mut node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1), (2, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    coordinator.phase(2, 1, ReplicaPhase::Ready).await;
    read(&mut log);
    host.mood.send_replace(Mood::Busy);
    node.shut_down();
    coordinator.phase(1, 1, ReplicaPhase::Draining).await;
    assert!(!node.roster().borrow().is_empty(), "streams still run");
    host.mood.send_replace(Mood::Well);
    node.ended().await;
    let log = read(&mut log);
    for replica in ["replica-1 g1", "replica-2 g1"] {
        let place = |what: &str| log.iter().position(|line| *line == format!("{what} {replica}"));
        assert!(place("drain") < place("drained") && place("drained") < place("drop"), "{log:?}");
        assert!(place("drain").is_some(), "{log:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn streams_that_never_finish_do_not_hold_the_node() {
    let env = Env::simulated(2);
    let coordinator = Coordinator::start(&env).await;
    let (host, mut log) = FakeHost::new(Mood::Busy);
    let mut node = start(&env, &host).await;
    coordinator.order(5, &[(1, 1)]);
    coordinator.phase(1, 1, ReplicaPhase::Ready).await;
    node.shut_down();
    node.ended().await;
    assert_eq!(read(&mut log).last().map(String::as_str), Some("drop replica-1 g1"));
}
