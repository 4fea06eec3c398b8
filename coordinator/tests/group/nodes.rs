//! Nodes: they join, watch their part, report, and get replicas.

use std::collections::{BTreeMap, BTreeSet};

use helixflow_model::{ClusterId, Fence, ModelId, Region};
use helixflow_policy::routing::{Own, PickContext, pick};
use helixflow_proto::hello::{Hello, HelloClientLayer};
use helixflow_proto::v1::telemetry_service_client::TelemetryServiceClient;
use helixflow_proto::v1::{
    AddModelRequest, Band, BoardReport, BoardStanding, ClockControl, Consistency, DeviceKind, Duty,
    JoinNodeRequest, ModelSpec, NodePart, NodeReport, ReplicaPhase, ReplicaReport, StatusRequest,
    WatchNodeRequest,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tower::Layer;

use crate::cluster::{Cluster, eventually, model};

async fn join(cluster: &Cluster, at: u64, uuid: &str) -> u64 {
    let request = JoinNodeRequest {
        uuid: uuid.to_owned(),
        region: "eu-1".to_owned(),
        advertise: "127.0.0.1:9".to_owned(),
        memory_bytes: 1 << 30,
        boards: Vec::new(),
    };
    cluster.client(at).join_node(request).await.expect("a join").into_inner().node
}

async fn watch(cluster: &Cluster, at: u64, node: u64) -> Streaming<NodePart> {
    cluster.client(at).watch_node(WatchNodeRequest { node }).await.expect("a watch").into_inner()
}

/// Reports of a node to one coordinator; each is acknowledged before the next.
async fn report(cluster: &Cluster, to: u64, reports: Vec<NodeReport>) -> Vec<u64> {
    let ours = Hello::new(ClusterId::new("alpha").expect("a valid name"));
    let channel = cluster.channel(&cluster.running[&to].addresses.grpc);
    let mut client = TelemetryServiceClient::new(HelloClientLayer::new(ours).layer(channel));
    let (send, receive) = mpsc::channel(1);
    let mut acks = client.report(ReceiverStream::new(receive)).await.expect("a stream").into_inner();
    let mut acknowledged = Vec::new();
    for report in reports {
        send.send(report).await.expect("an open stream");
        acknowledged.extend(acks.message().await.expect("an answer").map(|ack| ack.sequence));
    }
    acknowledged
}

fn idle(node: u64, sequence: u64) -> NodeReport {
    NodeReport {
        node,
        region: "eu-1".to_owned(),
        advertise: "127.0.0.1:9".to_owned(),
        sequence,
        age_ms: 0,
        boards: Vec::new(),
        replicas: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_node_gets_the_same_id_wherever_it_joins() {
    let cluster = Cluster::bootstrapped(3).await;
    let (a, b) = ("0".repeat(31) + "a", "0".repeat(31) + "b");
    let first = join(&cluster, 1, &a).await;
    assert_ne!(join(&cluster, 2, &b).await, first);
    assert_eq!(join(&cluster, 3, &a).await, first);
    let bad = JoinNodeRequest { uuid: "1234".to_owned(), ..JoinNodeRequest::default() };
    let refused = cluster.client(1).join_node(bad).await.expect_err("a bad uuid");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_reports_gets_a_replica_and_is_told_at_once() {
    let cluster = Cluster::bootstrapped(3).await;
    let node = join(&cluster, 1, &"7".repeat(32)).await;
    let mut parts = watch(&cluster, cluster.follower().await, node).await;
    let first = parts.message().await.expect("a part").expect("an open stream");
    assert_eq!((first.assignments.len(), first.incarnation), (0, 1));
    for id in 1..=3 {
        let late = |sequence| NodeReport { age_ms: 1_500, ..idle(node, sequence) };
        assert_eq!(report(&cluster, id, vec![late(1), late(2)]).await, [1, 2]);
    }
    cluster
        .client(2)
        .add_model(AddModelRequest { model: Some(model("m")), write: None })
        .await
        .expect("a model");
    let second = parts.message().await.expect("a part").expect("an open stream");
    let [assignment] = &second.assignments[..] else { panic!("{second:?}") };
    assert_eq!((assignment.first_layer, assignment.end_layer), (0, 4));
    assert_eq!(assignment.model.as_ref().map(|m| m.id.as_str()), Some("m"));
    // Of the coordinators only the one that was watched is known to have heard of the replica.
    let confirmed = StatusRequest { consistency: Consistency::Confirmed.into() };
    let status = cluster.client(3).status(confirmed).await.expect("a status").into_inner();
    let placed = &status.models[0].replicas;
    assert_eq!(placed.len(), 1);
    assert_eq!(placed[0].reason, "fewer replicas than the 1 to keep");
    assert!(status.nodes[0].report_age_ms.is_some());
    assert_eq!(status.nodes[0].report_own_age_ms, 1_500, "it was late when it came");
    assert_eq!(status.shortfalls, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_failed_is_placed_elsewhere() {
    let cluster = Cluster::bootstrapped(1).await;
    let nodes = [join(&cluster, 1, &"1".repeat(32)).await, join(&cluster, 1, &"2".repeat(32)).await];
    for node in nodes {
        report(&cluster, 1, vec![idle(node, 1)]).await;
    }
    cluster
        .client(1)
        .add_model(AddModelRequest { model: Some(model("m")), write: None })
        .await
        .expect("a model");
    let placed_on = || async {
        let state = cluster.running[&1].raft.state();
        let state = state.borrow();
        let (id, replica) = state.replicas().iter().next()?;
        Some((Fence { replica: *id, generation: replica.generation }, replica.head()?.0))
    };
    let (fence, node) = eventually("a replica", placed_on).await;
    let failed = ReplicaReport {
        fence: Some(fence.into()),
        model: "m".to_owned(),
        version: "1".to_owned(),
        phase: ReplicaPhase::Failed.into(),
        detail: "no room".to_owned(),
        ..ReplicaReport::default()
    };
    report(&cluster, 1, vec![NodeReport { replicas: vec![failed], ..idle(node, 2) }]).await;
    eventually("a replica on the other node", || async {
        placed_on().await.filter(|(_, elsewhere)| *elsewhere != node)
    })
    .await;
}

/// A node whose replica is ready, on a board of this band.
fn ready(node: u64, sequence: u64, fence: Fence, band: Band) -> NodeReport {
    let standing = BoardStanding {
        band: band.into(),
        duty: Duty::Full.into(),
        control: ClockControl::Governed.into(),
        speed_permille: 1000,
        weight_permille: 1000,
        ..BoardStanding::default()
    };
    let board = BoardReport {
        board: format!("simulated-{node}"),
        kind: DeviceKind::Simulated.into(),
        standing: Some(standing),
        ..BoardReport::default()
    };
    let replica = ReplicaReport {
        fence: Some(fence.into()),
        model: "m".to_owned(),
        version: "1".to_owned(),
        phase: ReplicaPhase::Ready.into(),
        numerics_class: "cpu-1".to_owned(),
        boards: vec![board.board.clone()],
        ..ReplicaReport::default()
    };
    NodeReport { boards: vec![board], replicas: vec![replica], ..idle(node, sequence) }
}

/// The nodes that requests of many kinds are sent to now.
fn picked(cluster: &Cluster) -> BTreeSet<u64> {
    let (region, m) = (Region::new("eu-1").expect("a name"), ModelId::new("m").expect("a name"));
    let numbers = (0..100_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let node = |random| {
        let context = PickContext { region: &region, exclude: &[], numerics: None, random };
        let look = |table: &_, own: &dyn Fn(_) -> Own| {
            pick(table, &m, None, &context, own).ok().map(|pick| pick.candidate.node.0)
        };
        cluster.running[&1].routing.look(look)
    };
    numbers.filter_map(node).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_turns_critical_gets_no_further_request() {
    let cluster = Cluster::bootstrapped(1).await;
    let nodes = [join(&cluster, 1, &"1".repeat(32)).await, join(&cluster, 1, &"2".repeat(32)).await];
    for node in nodes {
        report(&cluster, 1, vec![idle(node, 1)]).await;
    }
    let spec = ModelSpec { replicas: 2, ..model("m") };
    cluster.client(1).add_model(AddModelRequest { model: Some(spec), write: None }).await.expect("a model");
    let placed = || async {
        let state = cluster.running[&1].raft.state();
        let state = state.borrow();
        let of = |(id, replica): (&_, &helixflow_policy::state::Replica)| {
            Some((replica.head()?.0, Fence { replica: *id, generation: replica.generation }))
        };
        let placed: BTreeMap<u64, Fence> = state.replicas().iter().filter_map(of).collect();
        (placed.len() == nodes.len()).then_some(placed)
    };
    let placed = eventually("two replicas", placed).await;
    let says = |node, sequence, band| ready(node, sequence, placed[&node], band);
    for node in nodes {
        report(&cluster, 1, vec![says(node, 2, Band::Cool)]).await;
    }
    eventually("both are asked", || async { (picked(&cluster).len() == 2).then_some(()) }).await;
    let [hot, cool] = nodes;
    report(&cluster, 1, vec![says(hot, 3, Band::Critical)]).await;
    eventually("the cool one alone is asked", || async {
        (picked(&cluster) == BTreeSet::from([cool])).then_some(())
    })
    .await;
}
