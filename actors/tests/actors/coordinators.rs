//! Whom a node reports to: the coordinators that the cluster names, as they come and go.

use helixflow_env::Env;
use helixflow_model::ReplicaPhase;

use crate::coordinator::{ADDRESS, Coordinator};
use crate::host::{FakeHost, Mood, start};

const ADDED: &str = "127.0.0.1:7001";

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_was_added_gets_reports_and_a_removed_one_gets_none() {
    let env = Env::simulated(1);
    let (first, added) = (Coordinator::start(&env).await, Coordinator::start_at(&env, ADDED).await);
    let (host, _log) = FakeHost::new(Mood::Well);
    let _node = start(&env, &host).await;
    first.streams(1).await;
    first.tell(5, &[ADDRESS, ADDED]);
    added.report(|_| true).await;
    added.streams(1).await;
    first.streams(1).await;
    first.tell(6, &[ADDED]);
    first.streams(0).await;
    added.streams(1).await;
    first.tell(7, &[ADDRESS, ADDED]);
    first.streams(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_tells_none_leaves_the_node_with_those_of_its_configuration() {
    let env = Env::simulated(2);
    let (first, added) = (Coordinator::start(&env).await, Coordinator::start_at(&env, ADDED).await);
    let (host, _log) = FakeHost::new(Mood::Well);
    let _node = start(&env, &host).await;
    first.tell(5, &[ADDED]);
    added.streams(1).await;
    first.streams(0).await;
    first.tell(6, &[]);
    first.streams(1).await;
    added.streams(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_configured_coordinators_are_gone_comes_back_to_one_that_it_was_told_of() {
    let env = Env::simulated(3);
    let (first, added) = (Coordinator::start(&env).await, Coordinator::start_at(&env, ADDED).await);
    let (host, _log) = FakeHost::new(Mood::Well);
    let mut node = start(&env, &host).await;
    first.tell(5, &[ADDRESS, ADDED]);
    added.streams(1).await;
    node.shut_down();
    node.ended().await;

    let without_the_first = Env { network: Env::simulated(0).network, ..env };
    let added = Coordinator::start_at(&without_the_first, ADDED).await;
    let _node = start(&without_the_first, &host).await;
    added.order_and_tell(6, &[(1, 1)], &[ADDRESS, ADDED]);
    added.phase(1, 1, ReplicaPhase::Ready).await;
}
