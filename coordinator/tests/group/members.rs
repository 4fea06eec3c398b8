//! Members that come and go: learners, voters, observers, removals, leaders that hand their place over.

use helixflow_coordinator::CoordinatorError;
use helixflow_proto::error::Reason;
use helixflow_proto::v1::{
    AddCoordinatorProgress, AddCoordinatorRequest, BootstrapRequest, GroupMember, ListCoordinatorsRequest,
    ListCoordinatorsResponse, RemoveCoordinatorRequest, SetLeaderRegionsRequest, TransferLeaderRequest,
};
use tonic::Status;

use crate::cluster::{Cluster, eventually, write};

/// Adds the coordinator at this Raft address, and gives the last thing told.
async fn add(
    cluster: &Cluster,
    at: u64,
    raft: &str,
    observer: bool,
) -> Result<AddCoordinatorProgress, Status> {
    let request = AddCoordinatorRequest { raft: raft.to_owned(), observer };
    let mut steps = cluster.client(at).add_coordinator(request).await?.into_inner();
    let mut last = None;
    while let Some(step) = steps.message().await? {
        last = Some(step);
    }
    Ok(last.expect("at least one step"))
}

fn raft(cluster: &Cluster, id: u64) -> String {
    cluster.running[&id].addresses.raft.clone()
}

async fn list(cluster: &Cluster, at: u64) -> ListCoordinatorsResponse {
    cluster.client(at).list_coordinators(ListCoordinatorsRequest {}).await.expect("a list").into_inner()
}

fn roles(list: &ListCoordinatorsResponse) -> Vec<(u64, &str)> {
    let role = |member: &GroupMember| member.member.as_ref().map_or(0, |known| known.id);
    list.members.iter().map(|member| (role(member), member.role.as_str())).collect()
}

async fn remove(cluster: &Cluster, at: u64, id: u64) -> Result<bool, Status> {
    let removed = cluster.client(at).remove_coordinator(RemoveCoordinatorRequest { id }).await?;
    Ok(removed.into_inner().was_member)
}

/// A bootstrapped group, and one more coordinator that is no member yet.
async fn and_one_more(count: u64) -> Cluster {
    let mut cluster = Cluster::bootstrapped(count).await;
    cluster.leader().await;
    cluster.start_one(count + 1).await;
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_is_added_at_any_member_and_the_same_once_more_changes_nothing() {
    let cluster = and_one_more(3).await;
    let at = cluster.follower().await;
    let at = if at == 4 { 1 } else { at };
    let done = add(&cluster, at, &raft(&cluster, 4), false).await.expect("an addition");
    assert!(done.done && done.role == "voter", "{done:?}");
    let term = cluster.running[&1].raft.standing().term;
    let epoch = cluster.agreed().await;
    for at in 1..=4 {
        let again = add(&cluster, at, &raft(&cluster, 4), false).await.expect("the same addition");
        assert!(again.done && again.role == "voter", "{again:?}");
    }
    assert_eq!(cluster.running[&1].raft.state().borrow().changed().0, epoch);
    let voters = |list: &ListCoordinatorsResponse| roles(list).iter().filter(|(_, r)| *r == "voter").count();
    let list = list(&cluster, 4).await;
    assert_eq!((list.members.len(), voters(&list)), (4, 3), "{list:?}");
    assert!(list.members.iter().all(|m| m.matched_index.is_some() && m.heard_age_ms.is_some()), "{list:?}");
    write(&cluster, 4, "m").await;
    assert_eq!(cluster.running[&1].raft.standing().term, term, "nobody held an election");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_follows_the_log_and_never_votes() {
    let cluster = and_one_more(1).await;
    let done = add(&cluster, 1, &raft(&cluster, 2), true).await.expect("an addition");
    assert_eq!(done.role, "observer");
    assert_eq!(roles(&list(&cluster, 2).await), [(1, "leader"), (2, "observer")]);
    write(&cluster, 2, "m").await;
    cluster.agreed().await;
    let refused = cluster.client(1).transfer_leader(TransferLeaderRequest { to: 2 }).await;
    assert!(refused.is_err_and(|status| status.message().contains("cannot lead now")));
    // It becomes a voter when it is asked to.
    assert_eq!(add(&cluster, 2, &raft(&cluster, 2), false).await.expect("a promotion").role, "voter");
    let demoted = add(&cluster, 1, &raft(&cluster, 2), true).await.expect_err("a refusal");
    assert!(demoted.message().contains("is a voter: remove it"), "{demoted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_coordinator_ends_and_its_id_is_not_given_again() {
    let mut cluster = Cluster::bootstrapped(4).await;
    let gone = cluster.follower().await;
    let stays = cluster.leader().await;
    assert!(remove(&cluster, stays, gone).await.expect("a removal"));
    let ended = cluster.ends(gone).await;
    assert!(matches!(ended, CoordinatorError::Removed { .. }), "{ended}");
    assert!(!remove(&cluster, stays, gone).await.expect("the same removal"));
    write(&cluster, stays, "m").await;

    cluster.forget_ports(gone);
    std::fs::remove_dir_all(cluster.folder.path().join(gone.to_string())).expect("its folder");
    cluster.start_one(gone).await;
    let refused = add(&cluster, stays, &raft(&cluster, gone), false).await.expect_err("a refusal");
    assert_eq!(Reason::of(&refused).as_deref(), Some("REFUSED"));
    assert!(refused.message().contains("id = 5"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_removed_hands_its_place_over_first() {
    let cluster = Cluster::bootstrapped(3).await;
    let leader = cluster.leader().await;
    let other = cluster.follower().await;
    assert!(remove(&cluster, other, leader).await.expect("a removal"));
    let list = list(&cluster, other).await;
    assert_eq!(list.members.len(), 2, "{list:?}");
    assert_ne!(list.leader, leader);
    write(&cluster, other, "m").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_would_end_the_quorum_is_refused() {
    let mut cluster = Cluster::bootstrapped(3).await;
    let dead = cluster.follower().await;
    cluster.stop(dead).await;
    let leader = cluster.leader().await;
    let alive = *cluster.running.keys().find(|id| **id != leader).expect("a follower");
    let refused = remove(&cluster, leader, alive).await.expect_err("a refusal");
    assert!(refused.message().contains("only 1 of 2 voters"), "{refused}");
    assert!(remove(&cluster, leader, dead).await.expect("the dead one may go"));
    let alone = Cluster::bootstrapped(1).await;
    alone.leader().await;
    let last = remove(&alone, 1, 1).await.expect_err("a refusal");
    assert!(last.message().contains("the last voter"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_become_a_member_is_refused_before_anything_is_written() {
    let mut cluster = Cluster::bootstrapped(1).await;
    cluster.leader().await;
    cluster.start_one(2).await;
    let other = BootstrapRequest { raft: vec![raft(&cluster, 2)] };
    cluster.client(2).bootstrap(other).await.expect("a group of its own");
    let before = cluster.running[&1].raft.state().borrow().epoch();
    let foreign = add(&cluster, 1, &raft(&cluster, 2), false).await.expect_err("a refusal");
    assert!(foreign.message().contains("has a log of another group"), "{foreign}");
    let nobody = add(&cluster, 1, "127.0.0.1:1", false).await.expect_err("a refusal");
    assert!(nobody.message().contains("no coordinator of this cluster answers"), "{nobody}");
    assert_eq!(cluster.running[&1].raft.state().borrow().epoch(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leaders_place_goes_to_the_one_named_or_to_some_other() {
    let cluster = Cluster::bootstrapped(3).await;
    let old = cluster.leader().await;
    let transfer = async |at, to| {
        cluster.client(at).transfer_leader(TransferLeaderRequest { to }).await.map(|r| r.into_inner().leader)
    };
    let to = old % 3 + 1;
    let at = to % 3 + 1;
    assert_eq!(transfer(at, to).await.expect("a transfer"), to);
    assert_eq!(transfer(at, to).await.expect("the same transfer"), to);
    let third = transfer(old, 0).await.expect("a transfer");
    assert_ne!(third, to);
    write(&cluster, at, "m").await;
    let nobody = transfer(at, 9).await.expect_err("a refusal");
    assert!(nobody.message().contains("coordinator-9 is no member"), "{nobody}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_comes_back_under_other_addresses_is_found_again() {
    let mut cluster = Cluster::bootstrapped(3).await;
    let moved = cluster.follower().await;
    cluster.stop(moved).await;
    cluster.forget_ports(moved);
    cluster.start_one(moved).await;
    let now = cluster.running[&moved].addresses.clone();
    let leader = cluster.leader().await;
    eventually("the new addresses", || async {
        let list = list(&cluster, leader).await;
        let member = list.members.into_iter().filter_map(|m| m.member).find(|m| m.id == moved)?;
        (member.raft == now.raft && member.grpc == now.grpc).then_some(())
    })
    .await;
    write(&cluster, moved, "m").await;
    cluster.agreed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_regions_are_warned_of_with_the_remedy() {
    let mut cluster = Cluster::start(1).await;
    cluster.place(2, "us-1");
    cluster.place(3, "us-1");
    for id in 2..=3 {
        cluster.start_one(id).await;
    }
    cluster.client(1).bootstrap(cluster.bootstrap_request()).await.expect("a bootstrap");
    cluster.agreed().await;
    let warnings = list(&cluster, 1).await.warnings;
    assert!(warnings.iter().any(|w| w.contains("region us-1") && w.contains("witness")), "{warnings:?}");
    let status =
        cluster.client(3).status(helixflow_proto::v1::StatusRequest::default()).await.expect("a status");
    assert_eq!(status.into_inner().warnings, warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_the_leaders_regions_is_kept_and_names_each_once() {
    let cluster = Cluster::bootstrapped(1).await;
    let prefer = async |regions: &[&str]| {
        let regions = regions.iter().map(ToString::to_string).collect();
        cluster.client(1).set_leader_regions(SetLeaderRegionsRequest { regions }).await
    };
    prefer(&["us-1", "eu-1"]).await.expect("an order");
    assert_eq!(list(&cluster, 1).await.leader_regions, ["us-1", "eu-1"]);
    for bad in [&["eu-1", "eu-1"][..], &["eu 1"]] {
        let refused = prefer(bad).await.expect_err("a refusal");
        assert_eq!(Reason::of(&refused).as_deref(), Some("INVALID_PARAMETER"), "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_coordinator_from_writing_is_said_with_the_remedy() {
    let mut cluster = Cluster::start(3).await;
    let said = async |cluster: &Cluster, at, what: &str| {
        eventually(what, async || {
            let warned = list(cluster, at).await.warnings;
            warned.iter().any(|warning| warning.contains(what)).then_some(())
        })
        .await;
    };
    said(&cluster, 1, "make one with helixflow cluster bootstrap").await;
    let alone = remove(&cluster, 1, 2).await.expect_err("a refusal");
    assert!(alone.message().contains("helixflow cluster bootstrap"), "{alone}");
    cluster.client(1).bootstrap(cluster.bootstrap_request()).await.expect("a bootstrap");
    cluster.agreed().await;
    assert_eq!(list(&cluster, 1).await.warnings, [""; 0]);

    let leader = cluster.leader().await;
    let followers: Vec<u64> = cluster.running.keys().copied().filter(|id| *id != leader).collect();
    assert!(remove(&cluster, leader, followers[0]).await.expect("a removal"));
    said(&cluster, leader, "2 voters survive the loss of 0, no more than 1 do: add one, or remove one").await;
    cluster.stop(followers[1]).await;
    said(&cluster, leader, "has heard of no majority (2 of 2 voters) for ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_disk_was_wiped_says_so() {
    let mut cluster = Cluster::bootstrapped(3).await;
    let wiped = cluster.follower().await;
    cluster.stop(wiped).await;
    std::fs::remove_dir_all(cluster.folder.path().join(wiped.to_string())).expect("its folder");
    cluster.start_one(wiped).await;
    eventually("a warning", async || {
        let warned = list(&cluster, wiped).await.warnings;
        warned.iter().any(|warning| warning.contains("its data was replaced; remove it")).then_some(())
    })
    .await;
}
