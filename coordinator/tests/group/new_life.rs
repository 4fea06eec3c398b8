//! Backup, restore, and the way out of a lost majority: everything is there again, and nobody of the earlier life is
//! obeyed any more.

use helixflow_coordinator::raft::{Backup, NewLifeError};
use helixflow_coordinator::{CoordinatorError, Offline};
use helixflow_model::Incarnation;
use helixflow_proto::v1::{AddCoordinatorRequest, BackupRequest, JoinNodeRequest, WatchNodeRequest};

use crate::cluster::{Cluster, eventually, write};

async fn backup(cluster: &Cluster, at: u64) -> Vec<u8> {
    let mut chunks = cluster.client(at).backup(BackupRequest {}).await.expect("a backup").into_inner();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.message().await.expect("a chunk") {
        bytes.extend(chunk.data);
    }
    bytes
}

fn models(cluster: &Cluster, at: u64) -> Vec<String> {
    let state = cluster.running[&at].raft.state().borrow().clone();
    state.models().keys().map(|key| key.id.to_string()).collect()
}

fn incarnation(cluster: &Cluster, at: u64) -> Option<Incarnation> {
    cluster.running[&at].raft.state().borrow().identity().map(|known| known.incarnation)
}

fn offline(cluster: &Cluster, id: u64) -> Offline {
    Offline::open(&cluster.config(id), &cluster.env).expect("a data directory")
}

async fn join(cluster: &Cluster, at: u64) -> u64 {
    let request = JoinNodeRequest {
        uuid: "0".repeat(32),
        region: "eu-1".to_owned(),
        advertise: "127.0.0.1:9".to_owned(),
        memory_bytes: 1 << 30,
        boards: Vec::new(),
    };
    cluster.client(at).join_node(request).await.expect("a join").into_inner().node
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_cluster_has_everything_and_nodes_obey_its_lower_epochs() {
    let mut old = Cluster::bootstrapped(3).await;
    write(&old, 2, "kept").await;
    let node = join(&old, 1).await;
    let bytes = backup(&old, 3).await;
    write(&old, 1, "lost").await;
    let before = {
        let mut parts =
            old.client(1).watch_node(WatchNodeRequest { node }).await.expect("a watch").into_inner();
        parts.message().await.expect("a part").expect("a part")
    };
    for id in 1..=3 {
        old.stop(id).await;
    }

    let mut new = Cluster::start(1).await;
    new.stop(1).await;
    let has_a_log = offline(&new, 1).restore(Backup::from_bytes(&bytes).expect("a backup")).await;
    assert!(matches!(has_a_log, Err(CoordinatorError::NewLife(NewLifeError::HasALog { .. }))));
    std::fs::remove_dir_all(new.folder.path().join("1")).expect("its folder");
    let restored = offline(&new, 1).restore(Backup::from_bytes(&bytes).expect("a backup")).await;
    let restored = restored.expect("a restore");
    assert_eq!(restored.next.0, 4, "ids of the earlier life are used up");
    new.start_one(1).await;
    assert_eq!(new.leader().await, 1);
    assert_eq!(models(&new, 1), ["kept"]);
    assert_eq!(incarnation(&new, 1), Some(restored.incarnation));
    assert_eq!(join(&new, 1).await, node, "nodes keep their ids");
    let mut parts = new.client(1).watch_node(WatchNodeRequest { node }).await.expect("a watch").into_inner();
    let after = parts.message().await.expect("a part").expect("a part");
    assert!(after.incarnation > before.incarnation, "{after:?}");

    // Others join under ids of their own.
    new.start_one(4).await;
    let raft = new.running[&4].addresses.raft.clone();
    let request = AddCoordinatorRequest { raft, observer: false };
    let mut steps = new.client(1).add_coordinator(request).await.expect("an addition").into_inner();
    while steps.message().await.expect("a step").is_some() {}
    write(&new, 4, "new").await;
    new.agreed().await;
    assert_eq!(models(&new, 4), ["kept", "new"]);
    // What is restored once more is above both lives.
    for id in [1, 4] {
        new.stop(id).await;
    }
    let later = offline(&new, 1).survivor().await.expect("a survivor");
    assert_eq!(later.backup.identity().map(|(_, life)| life), Some(restored.incarnation));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survivor_of_a_lost_majority_begins_a_new_life_and_the_lost_ones_end_when_they_come_back() {
    let mut cluster = Cluster::bootstrapped(3).await;
    write(&cluster, 1, "kept").await;
    cluster.agreed().await;
    for id in 1..=3 {
        cluster.stop(id).await;
    }
    let survivor = {
        let offline = offline(&cluster, 1);
        let survivor = offline.survivor().await.expect("a survivor");
        assert_eq!(survivor.voters.len(), 3);
        offline.recover(survivor).await.expect("a recovery")
    };
    cluster.start_one(1).await;
    write(&cluster, 1, "after").await;
    assert_eq!(models(&cluster, 1), ["after", "kept"]);
    assert_eq!(incarnation(&cluster, 1), Some(survivor.incarnation));
    // The others still have a majority of the earlier life between them.
    for id in 2..=3 {
        cluster.start_one(id).await;
    }
    for id in 2..=3 {
        let ended = cluster.ends(id).await;
        assert!(matches!(ended, CoordinatorError::Overtaken { .. }), "{ended}");
    }
    assert_eq!(cluster.leader().await, 1);
    eventually("the survivor alone", || async {
        let members = cluster.running[&1].raft.standing().members;
        (members.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_is_half_made_is_not_started_and_the_same_command_goes_on() {
    let mut cluster = Cluster::bootstrapped(1).await;
    write(&cluster, 1, "kept").await;
    let bytes = backup(&cluster, 1).await;
    cluster.stop(1).await;
    let folder = cluster.folder.path().join("1");
    for (name, bytes) in [("recovery.backup", bytes.as_slice()), ("being-made", b"")] {
        cluster.env.disk.write_durably(&folder.join(name), bytes).expect("a write");
    }
    let started = helixflow_coordinator::Coordinator::start(
        cluster.config(1),
        cluster.env.clone(),
        crate::cluster::metrics(),
    )
    .await;
    let refused = started.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("interrupted: give the same command again"), "{refused}");
    let again = offline(&cluster, 1);
    let survivor = again.survivor().await.expect("what was kept");
    again.recover(survivor).await.expect("a recovery");
    drop(again);
    cluster.start_one(1).await;
    assert_eq!(cluster.leader().await, 1);
    assert_eq!(models(&cluster, 1), ["kept"]);
}
