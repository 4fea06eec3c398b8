//! A group is made once, by an explicit command, of coordinators that have no log.

use helixflow_proto::error::Reason;
use helixflow_proto::v1::{BootstrapRequest, StatusRequest};

use crate::cluster::{Cluster, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn three_coordinators_become_one_group_with_one_leader() {
    let cluster = Cluster::start(3).await;
    let before = cluster.client(2).status(StatusRequest::default()).await.expect("a status").into_inner();
    assert_eq!((before.leader, before.coordinators.len()), (0, 0));
    cluster.client(2).bootstrap(cluster.bootstrap_request()).await.expect("a bootstrap");
    cluster.agreed().await;
    let leader = cluster.leader().await;
    for id in 1..=3 {
        let status = eventually("the same leader everywhere", || async {
            let status =
                cluster.client(id).status(StatusRequest::default()).await.expect("a status").into_inner();
            (status.leader == leader).then_some(status)
        })
        .await;
        assert_eq!((status.cluster.as_str(), status.coordinator), ("alpha", id));
        assert!(status.quorum_age_ms.is_some());
        assert_eq!(status.violations, Vec::<String>::new());
        let roles: Vec<&str> = status.coordinators.iter().map(|c| c.role.as_str()).collect();
        assert_eq!(roles.iter().filter(|role| **role == "leader").count(), 1, "{roles:?}");
        assert_eq!(roles.iter().filter(|role| **role == "follower").count(), 2, "{roles:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bootstrap_again_changes_nothing_and_another_one_is_refused() {
    let cluster = Cluster::bootstrapped(3).await;
    let changed = || async {
        cluster.agreed().await;
        cluster.running[&1].raft.state().borrow().changed()
    };
    let before = changed().await;
    for id in 1..=3 {
        cluster.client(id).bootstrap(cluster.bootstrap_request()).await.expect("the same bootstrap");
    }
    assert_eq!(changed().await, before);
    let mut fewer = cluster.bootstrap_request();
    fewer.raft.pop();
    let refused = cluster.client(1).bootstrap(fewer).await.expect_err("another bootstrap");
    assert_eq!(Reason::of(&refused).as_deref(), Some("REFUSED"));
    assert!(refused.message().contains("has a log already"), "{}", refused.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_has_a_log_or_does_not_answer_or_is_another_is_named() {
    let mut cluster = Cluster::start(3).await;
    let refusal = async |change: &dyn Fn(&mut BootstrapRequest)| {
        let mut request = cluster.bootstrap_request();
        change(&mut request);
        let refused = cluster.client(1).bootstrap(request).await.expect_err("a refusal");
        refused.message().to_owned()
    };
    let twice = refusal(&|r| r.raft[2] = r.raft[1].clone()).await;
    assert!(twice.contains("coordinator-2 answers at") && twice.contains("name each once"), "{twice}");
    let none = refusal(&|r| r.raft.clear()).await;
    assert!(none.contains("raft: 0 addresses; give 1 to"), "{none}");
    let without = refusal(&|r| {
        r.raft.remove(0);
    })
    .await;
    assert!(without.contains("coordinator-1 is not among the members"), "{without}");
    let alone = BootstrapRequest { raft: cluster.bootstrap_request().raft[2..].to_vec() };
    cluster.client(3).bootstrap(alone).await.expect("a group of one");
    let has_log = refusal(&|_| {}).await;
    assert!(has_log.contains("coordinator-3") && has_log.contains("has a log already"), "{has_log}");
    cluster.stop(2).await;
    let mut request = cluster.bootstrap_request();
    request.raft.truncate(2);
    let second = request.raft[1].clone();
    let silent = cluster.client(1).bootstrap(request).await.expect_err("a refusal");
    let names_it = format!("no coordinator of this cluster answers at {second}");
    assert!(silent.message().contains(&names_it), "{silent}");
}
