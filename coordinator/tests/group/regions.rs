//! Several regions: nodes report to their own, digests tell the others, heat moves replicas.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_model::ClusterId;
use helixflow_proto::hello::{Hello, HelloClientLayer};
use helixflow_proto::inference::ModelReadyRequest;
use helixflow_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use helixflow_proto::v1::telemetry_service_client::TelemetryServiceClient;
use helixflow_proto::v1::{
    AddModelRequest, Band, BoardReading, BoardReport, BoardStanding, BoardTraits, DeviceKind, Duty,
    JoinNodeRequest, NodePart, NodeReport, NodeStatus, ReplicaPhase, ReplicaReport, Requirements,
    StatusRequest, WatchNodeRequest,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::IntervalStream;
use tower::Layer;

use crate::cluster::{Cluster, eventually, model};

/// Between two reports of a node.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// A node that does what it is told, at once: what is assigned to it is ready.
struct Node {
    id: u64,
    report: watch::Sender<NodeReport>,
    /// Where it was told to report.
    told: watch::Receiver<Vec<String>>,
    follows: JoinHandle<()>,
}

impl Node {
    /// Joins at a coordinator, and takes its orders there.
    async fn join(cluster: &Cluster, at: u64, digit: &str, region: &str, boards: Vec<BoardTraits>) -> Self {
        let request = JoinNodeRequest {
            uuid: digit.repeat(32),
            region: region.to_owned(),
            advertise: "127.0.0.1:9".to_owned(),
            memory_bytes: 1 << 30,
            boards,
        };
        let id = cluster.client(at).join_node(request).await.expect("a join").into_inner().node;
        let report = NodeReport {
            node: id,
            region: region.to_owned(),
            advertise: "127.0.0.1:9".to_owned(),
            boards: vec![board(Duty::Full, Band::Cool)],
            ..NodeReport::default()
        };
        let (report, reports) = watch::channel(report);
        let (tell, told) = watch::channel(Vec::new());
        let parts = cluster.client(at).watch_node(WatchNodeRequest { node: id }).await.expect("a watch");
        let (network, obeyed) = (cluster.env.network.clone(), report.clone());
        let follows = tokio::spawn(async move {
            let mut parts = parts.into_inner();
            let mut links: BTreeMap<String, Link> = BTreeMap::new();
            while let Ok(Some(part)) = parts.message().await {
                obeyed.send_modify(|report| report.replicas = ready(&part));
                links.retain(|address, _| part.coordinators.contains(address));
                for address in &part.coordinators {
                    let link = || Link::open(address.clone(), network.clone(), reports.clone());
                    links.entry(address.clone()).or_insert_with(link);
                }
                tell.send_replace(part.coordinators);
            }
            // Its coordinator has gone: it goes on reporting where it was told to.
            std::future::pending::<()>().await;
        });
        Self { id, report, told, follows }
    }

    fn heat(&self, duty: Duty, band: Band) {
        self.report.send_modify(|report| report.boards = vec![board(duty, band)]);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.follows.abort();
    }
}

/// Reports to one coordinator, again and again; it ends when dropped.
struct Link(JoinHandle<()>);

impl Link {
    fn open(
        address: String,
        network: Arc<dyn helixflow_env::Network>,
        reports: watch::Receiver<NodeReport>,
    ) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let ours = Hello::new(ClusterId::new("alpha").expect("a valid name"));
                let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
                let connector = helixflow_env::net::Connector(network.clone());
                let channel = endpoint.expect("an address").connect_with_connector_lazy(connector);
                let mut client = TelemetryServiceClient::new(HelloClientLayer::new(ours).layer(channel));
                let (latest, sequence) = (reports.clone(), Mutex::new(0));
                let node = reports.clone();
                let ticks = IntervalStream::new(tokio::time::interval(REPORT_EVERY));
                // The stream outlives the task that opened it; without a node there is nobody to speak.
                let ticks = ticks.take_while(move |_| node.has_changed().is_ok());
                let stream = ticks.map(move |_| {
                    *sequence.lock() += 1;
                    NodeReport { sequence: *sequence.lock(), ..latest.borrow().clone() }
                });
                if let Ok(acks) = client.report(stream).await {
                    let mut acks = acks.into_inner();
                    while let Ok(Some(_)) = acks.message().await {}
                }
                sleep(REPORT_EVERY).await;
            }
        }))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// All that a part assigns, as if it were ready.
fn ready(part: &NodePart) -> Vec<ReplicaReport> {
    let replica = |assignment: &helixflow_proto::v1::Assignment| ReplicaReport {
        fence: assignment.fence,
        epoch: assignment.epoch,
        model: assignment.model.as_ref().map(|model| model.id.clone()).unwrap_or_default(),
        version: "1".to_owned(),
        phase: ReplicaPhase::Ready.into(),
        numerics_class: "cpu-1".to_owned(),
        boards: vec!["simulated-0".to_owned()],
        ..ReplicaReport::default()
    };
    part.assignments.iter().map(replica).collect()
}

fn board(duty: Duty, band: Band) -> BoardReport {
    BoardReport {
        board: "simulated-0".to_owned(),
        name: "a board".to_owned(),
        kind: DeviceKind::Simulated.into(),
        reading: Some(BoardReading {
            core_millicelsius: Some(71_000),
            fan_permille: Some(900),
            ..Default::default()
        }),
        standing: Some(BoardStanding {
            band: band.into(),
            duty: duty.into(),
            control: helixflow_proto::v1::ClockControl::Governed.into(),
            speed_permille: 900,
            weight_permille: 1000,
            ..Default::default()
        }),
        ..BoardReport::default()
    }
}

async fn add(cluster: &Cluster, at: u64, requires: Option<Requirements>) {
    let model = helixflow_proto::v1::ModelSpec { requires, ..model("m") };
    let request = AddModelRequest { model: Some(model), write: None };
    cluster.client(at).add_model(request).await.expect("a model");
}

/// What one coordinator knows of a node.
async fn seen(cluster: &Cluster, at: u64, node: u64) -> Option<NodeStatus> {
    let status = cluster.client(at).status(StatusRequest::default()).await.ok()?.into_inner();
    status.nodes.into_iter().find(|known| known.node == node)
}

/// The band and duty that the log names, once they are these at a coordinator.
async fn recorded(cluster: &Cluster, at: u64, node: u64, duty: Duty, band: Band) {
    eventually("a record of the node's heat", || async {
        let heat = seen(cluster, at, node).await?.heat?;
        (heat.duty() == duty && heat.band() == band && heat.since_epoch > 0).then_some(())
    })
    .await;
}

/// The node of the only replica, once there is just one.
async fn placed_on(cluster: &Cluster, at: u64) -> Option<u64> {
    let state = cluster.running[&at].raft.state().borrow().clone();
    let heads: Vec<u64> = state.replicas().values().filter_map(|r| r.head()).map(|node| node.0).collect();
    if let [node] = heads[..] { Some(node) } else { None }
}

async fn routes(cluster: &Cluster, at: u64) {
    let client = GrpcInferenceServiceClient::new(cluster.channel(&cluster.running[&at].addresses.grpc));
    eventually("a replica that the gateway may call", || async {
        let request = ModelReadyRequest { name: "m".to_owned(), version: String::new() };
        client.clone().model_ready(request).await.ok().filter(|answer| answer.get_ref().ready)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_reports_to_its_own_region_and_other_gateways_route_by_digest() {
    let cluster = Cluster::in_regions(&["eu-1", "eu-1", "us-1"]).await;
    let node = Node::join(&cluster, 3, "a", "eu-1", Vec::new()).await;
    let own = [1, 2].map(|id| cluster.running[&id].addresses.grpc.clone());
    let mut told = node.told.clone();
    told.wait_for(|told| !told.is_empty()).await.expect("a part");
    assert_eq!(*told.borrow(), own);
    add(&cluster, 3, None).await;
    routes(&cluster, 3).await;
    let far = seen(&cluster, 3, node.id).await.expect("a node");
    let board = &far.boards[0];
    let reading = board.reading.as_ref().expect("a reading");
    assert_eq!((reading.core_millicelsius, reading.fan_permille), (Some(71_000), None));
    assert_eq!(board.standing.as_ref().map(|standing| standing.speed_permille), Some(900));
    assert_eq!(far.replicas.len(), 1);
    assert!(far.report_age_ms.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_reporter_of_a_region_dies_the_next_one_speaks_and_judges_for_it() {
    let mut cluster = Cluster::in_regions(&["eu-1", "eu-1", "us-1"]).await;
    let node = Node::join(&cluster, 3, "a", "eu-1", Vec::new()).await;
    node.heat(Duty::Full, Band::Warm);
    recorded(&cluster, 3, node.id, Duty::Full, Band::Warm).await;
    cluster.stop(1).await;
    node.heat(Duty::NoNewShards, Band::Hot);
    recorded(&cluster, 3, node.id, Duty::NoNewShards, Band::Hot).await;
    eventually("a digest of the next one", || async {
        let known = seen(&cluster, 3, node.id).await?;
        let standing = known.boards.first()?.standing?;
        (standing.band() == Band::Hot).then_some(())
    })
    .await;
    cluster.start_one(1).await;
    node.heat(Duty::Full, Band::Cool);
    recorded(&cluster, 1, node.id, Duty::Full, Band::Cool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_falls_silent_is_lost_by_the_word_of_its_own_region() {
    let cluster = Cluster::in_regions(&["us-1", "eu-1", "ap-1"]).await;
    let silent = Node::join(&cluster, 1, "a", "eu-1", Vec::new()).await;
    let steady = Node::join(&cluster, 1, "b", "eu-1", Vec::new()).await;
    for node in [&silent, &steady] {
        eventually("a digest", || async { seen(&cluster, 3, node.id).await?.report_age_ms }).await;
    }
    let id = silent.id;
    drop(silent);
    eventually("a loss", || async { seen(&cluster, 3, id).await.filter(|known| known.health == "lost") })
        .await;
    assert_eq!(seen(&cluster, 3, steady.id).await.map(|known| known.health), Some("live".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_leaves_a_node_whose_boards_drain() {
    for regions in [&["eu-1"][..], &["us-1", "eu-1", "ap-1"]] {
        let cluster = Cluster::in_regions(regions).await;
        let nodes = [
            Node::join(&cluster, 1, "a", "eu-1", Vec::new()).await,
            Node::join(&cluster, 1, "b", "eu-1", Vec::new()).await,
        ];
        add(&cluster, 1, None).await;
        let at = eventually("a replica", || placed_on(&cluster, 1)).await;
        let hot = nodes.iter().find(|node| node.id == at).expect("one of the two");
        hot.heat(Duty::Drain, Band::Hot);
        eventually("a replica on the other node", || async {
            placed_on(&cluster, 1).await.filter(|node| *node != at)
        })
        .await;
        hot.heat(Duty::Full, Band::Cool);
        recorded(&cluster, 1, at, Duty::Full, Band::Cool).await;
        assert_ne!(placed_on(&cluster, 1).await, Some(at), "nothing moves back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_asks_for_a_board_waits_until_there_is_one() {
    let cluster = Cluster::bootstrapped(1).await;
    let board = |kind: DeviceKind| BoardTraits { kind: kind.into(), features: vec!["fp8".to_owned()] };
    let amd = Node::join(&cluster, 1, "a", "eu-1", vec![board(DeviceKind::Amd)]).await;
    let asks = Requirements { vendors: vec![DeviceKind::Nvidia.into()], features: vec!["fp8".to_owned()] };
    add(&cluster, 1, Some(asks)).await;
    let shortfall = eventually("a shortfall", || async {
        let status = cluster.client(1).status(StatusRequest::default()).await.ok()?.into_inner();
        status.shortfalls.into_iter().find(|why| why.contains("of nvidia with fp8"))
    })
    .await;
    assert!(shortfall.contains("no other live node has one"), "{shortfall}");
    let nvidia = Node::join(&cluster, 1, "b", "eu-1", vec![board(DeviceKind::Nvidia)]).await;
    assert_eq!(eventually("a replica", || placed_on(&cluster, 1)).await, nvidia.id);
    assert_ne!(amd.id, nvidia.id);
}
