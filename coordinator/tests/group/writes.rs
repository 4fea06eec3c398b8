//! Writes at any coordinator, kept over the loss of the leader and over restarts.

use helixflow_proto::error::Reason;
use helixflow_proto::v1::AddModelRequest;

use crate::cluster::{Cluster, eventually, model};

fn request(id: &str) -> AddModelRequest {
    AddModelRequest { model: Some(model(id)), write: None }
}

fn models(cluster: &Cluster, id: u64) -> Vec<String> {
    let state = cluster.running[&id].raft.state();
    let state = state.borrow();
    state.models().keys().map(|key| key.id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_at_a_follower_is_applied_everywhere_and_again_it_changes_nothing() {
    let cluster = Cluster::bootstrapped(3).await;
    let follower = cluster.follower().await;
    cluster.client(follower).add_model(request("first")).await.expect("a write");
    cluster.agreed().await;
    let changed = cluster.running[&follower].raft.state().borrow().changed();
    cluster.client(follower).add_model(request("first")).await.expect("the same write");
    cluster.agreed().await;
    for id in 1..=3 {
        assert_eq!(models(&cluster, id), ["first"]);
        assert_eq!(cluster.running[&id].raft.state().borrow().changed(), changed);
    }
    let mut other = model("first");
    other.layers += 1;
    let differs =
        cluster.client(follower).add_model(AddModelRequest { model: Some(other), write: None }).await;
    assert_eq!(differs.err().and_then(|e| Reason::of(&e)).as_deref(), Some("REFUSED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_leader_takes_over_and_the_old_one_catches_up() {
    let mut cluster = Cluster::bootstrapped(3).await;
    cluster.client(1).add_model(request("before")).await.expect("a write");
    let old = cluster.leader().await;
    cluster.stop(old).await;
    let new = cluster.leader().await;
    assert_ne!(new, old);
    let survivor = cluster.follower().await;
    cluster.client(survivor).add_model(request("after")).await.expect("a write under the new leader");
    cluster.start_one(old).await;
    cluster.agreed().await;
    assert_eq!(models(&cluster, old), ["after", "before"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_restart_from_their_disks_with_the_same_state() {
    let mut cluster = Cluster::bootstrapped(3).await;
    for id in ["one", "two", "three"] {
        cluster.client(2).add_model(request(id)).await.expect("a write");
    }
    cluster.agreed().await;
    let before = cluster.running[&1].raft.state().borrow().changed();
    for id in 1..=3 {
        cluster.stop(id).await;
    }
    for id in 1..=3 {
        cluster.start_one(id).await;
    }
    cluster.agreed().await;
    for id in 1..=3 {
        assert_eq!(models(&cluster, id), ["one", "three", "two"]);
        assert_eq!(cluster.running[&id].raft.state().borrow().changed(), before);
    }
    cluster.client(3).add_model(request("four")).await.expect("a write after the restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_nothing_is_written_and_what_was_known_is_still_served() {
    let mut cluster = Cluster::bootstrapped(3).await;
    cluster.client(1).add_model(request("known")).await.expect("a write");
    cluster.agreed().await;
    for id in 1..=3 {
        cluster.stop(id).await;
    }
    cluster.start_one(2).await;
    eventually("the state before the restart", || async { (models(&cluster, 2) == ["known"]).then_some(()) })
        .await;
    let refused = cluster.client(2).add_model(request("new")).await.expect_err("no quorum");
    assert_eq!(Reason::of(&refused).as_deref(), Some("NO_QUORUM"), "{refused}");
}
