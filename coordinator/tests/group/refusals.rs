//! What a coordinator refuses: strangers, ports in use, folders in use, stores that it cannot trust.

use helixflow_coordinator::{Coordinator, CoordinatorError};
use helixflow_model::ClusterId;
use helixflow_proto::error::Reason;
use helixflow_proto::hello::{Hello, HelloClientLayer};
use helixflow_proto::v1::DescribeRequest;
use helixflow_proto::v1::RaftFrame;
use helixflow_proto::v1::raft_service_client::RaftServiceClient;
use tower::Layer;

use crate::cluster::{Cluster, metrics, with_causes};

/// The first segment of a coordinator's log, in its data directory.
const SEGMENT: &str = "log/00000000000000000001.segment";

/// The error of a start, with its causes.
async fn start_error(cluster: &Cluster, id: u64) -> String {
    let started = Coordinator::start(cluster.config(id), cluster.env.clone(), metrics()).await;
    with_causes(&started.err().expect("a refusal"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_on_the_raft_port_is_refused() {
    let cluster = Cluster::bootstrapped(1).await;
    let channel = cluster.channel(&cluster.running[&1].addresses.raft);
    let silent = RaftServiceClient::new(channel.clone()).describe(DescribeRequest::default()).await;
    assert_eq!(silent.err().and_then(|e| Reason::of(&e)).as_deref(), Some("PROTOCOL_MISMATCH"));
    let as_of = |cluster: &str| {
        let hello = Hello::new(ClusterId::new(cluster).expect("a valid name"));
        RaftServiceClient::new(HelloClientLayer::new(hello).layer(channel.clone()))
    };
    let other = as_of("beta").describe(DescribeRequest::default()).await;
    assert_eq!(other.err().and_then(|e| Reason::of(&e)).as_deref(), Some("WRONG_CLUSTER"));
    assert!(as_of("alpha").describe(DescribeRequest::default()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_for_another_coordinator_or_another_disk_is_refused() {
    let cluster = Cluster::bootstrapped(1).await;
    let hello = Hello::new(ClusterId::new("alpha").expect("a valid name"));
    let channel = cluster.channel(&cluster.running[&1].addresses.raft);
    let mut client = RaftServiceClient::new(HelloClientLayer::new(hello).layer(channel));
    let disk = client.describe(DescribeRequest::default()).await.expect("an answer").into_inner().disk;
    let frame =
        |to, to_disk: Vec<u8>| RaftFrame { from: 2, to, to_disk: to_disk.into(), ..RaftFrame::default() };
    for (frame, says) in [
        (frame(9, disk), "the message is for coordinator-9, this is coordinator-1"),
        (frame(1, vec![0; 16]), "its data was replaced"),
    ] {
        let refused = client.vote(frame).await.expect_err("a refusal");
        assert!(refused.message().contains(says), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_or_a_port_in_use_is_named() {
    let mut cluster = Cluster::start(1).await;
    let folder = start_error(&cluster, 1).await;
    assert!(folder.contains("is in use by another process"), "{folder}");
    let mut config = cluster.config(1);
    config.data_dir = cluster.folder.path().join("another");
    let started = Coordinator::start(config, cluster.env.clone(), metrics()).await;
    let Err(CoordinatorError::Bind { key, address, .. }) = started else { panic!("the port was free") };
    assert_eq!((key, address.to_string()), ("grpc.listen", cluster.running[&1].addresses.grpc.clone()));
    cluster.stop(1).await;
    cluster.start_one(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_coordinators_folder_is_refused() {
    let mut cluster = Cluster::start(2).await;
    cluster.stop(1).await;
    cluster.stop(2).await;
    let from = cluster.folder.path().join("1");
    let to = cluster.folder.path().join("2");
    let log = cluster.env.disk.read(&from.join(SEGMENT)).expect("a log");
    cluster.env.disk.write_durably(&to.join(SEGMENT), &log).expect("a copy");
    let refused = start_error(&cluster, 2).await;
    assert!(refused.contains("belongs to coordinator-1 of cluster alpha"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_and_a_damaged_snapshot_are_refused() {
    let mut cluster = Cluster::start(1).await;
    cluster.stop(1).await;
    let folder = cluster.folder.path().join("1");
    cluster.env.disk.write_durably(&folder.join("snapshot"), b"not a snapshot").expect("a write");
    let snapshot = start_error(&cluster, 1).await;
    assert!(snapshot.contains("the snapshot") && snapshot.contains("is damaged"), "{snapshot}");
    cluster.env.disk.remove_file(&folder.join("snapshot")).expect("a removal");
    cluster.env.disk.write_durably(&folder.join("raft.redb"), b"of an earlier build").expect("a write");
    let earlier = start_error(&cluster, 1).await;
    assert!(earlier.contains("is the log of an earlier build"), "{earlier}");
    cluster.env.disk.remove_file(&folder.join("raft.redb")).expect("a removal");
    cluster.env.disk.write_durably(&folder.join(SEGMENT), b"not a log").expect("a write");
    let log = start_error(&cluster, 1).await;
    assert!(log.contains("the Raft log") && log.contains("is damaged"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_an_unknown_version_ends_a_coordinator_with_a_message_that_names_it() {
    let mut cluster = Cluster::start(1).await;
    let hello = Hello::new(ClusterId::new("alpha").expect("a valid name"));
    let channel = cluster.channel(&cluster.running[&1].addresses.raft);
    let mut leader = RaftServiceClient::new(HelloClientLayer::new(hello).layer(channel));
    let disk = leader.describe(DescribeRequest::default()).await.expect("an answer").into_inner().disk;
    // An append request of version 2: the vote of coordinator-2 in term 9, nothing before, one entry, nothing committed.
    // The entry, the seventh of term 9, is two bytes of version 99.
    let (vote, entry) = ([9, 2, 1], [9, 2, 7, 2, 99, 0]);
    let body: Vec<u8> = [&[2][..], &vote, &[0], &[1], &entry, &[0]].concat();
    let frame = RaftFrame { from: 2, to: 1, body: body.into(), to_disk: disk.into() };
    let refused = leader.append(futures::stream::iter([frame])).await.err();
    assert_eq!(refused.and_then(|e| Reason::of(&e)).as_deref(), Some("DRAINING"));
    let end = cluster.end_of(1).await;
    for part in ["entry 7 of term 9", "of format 99, this build reads 2", "run the build that wrote it"] {
        assert!(end.contains(part), "{end}");
    }
}
