//! Simulated nodes: each with a connection of its own, over which it reports once a second and waits for nothing else.
//!
//! They join, open their stream again after a loss as the product's nodes do, and say what [`crate::says`] makes up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use helixflow_env::Env;
use helixflow_env::net::Connector;
use helixflow_model::ClusterId;
use helixflow_proto::hello::{Hello, HelloClientLayer};
use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::telemetry_service_client::TelemetryServiceClient;
use helixflow_proto::v1::{
    AddModelRequest, Fence, JoinNodeRequest, ModelSpec, NodeStatus, StatusRequest, StatusResponse,
};
use tokio::time::{Instant, interval, sleep};
use tokio_stream::wrappers::IntervalStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tower::Layer;

use crate::says;

/// Every node reports so often.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Nodes that join at once: they share syncs of the log.
const JOINING: usize = 256;
/// A node opens its stream anew after so long, drawn, and after twice as long each time it fails.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// and at most so long, as the product's nodes do.
const RETRY_LONGEST: Duration = Duration::from_secs(3);
/// How long all nodes together may take to be where they should, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often that is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How often the coordinator is asked for its whole status, which is megabytes.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// The largest status taken.
const MAX_STATUS: usize = 256 << 20;
/// What a node has for replicas.
const MEMORY: u64 = 1 << 40;

/// Nodes that report to one coordinator.
pub(crate) struct Fleet {
    way: Arc<Way>,
    /// In the order of their ids.
    nodes: Vec<Arc<Node>>,
}

/// How the coordinator is reached.
struct Way {
    env: Env,
    hello: Hello,
    endpoint: Endpoint,
}

/// One node.
struct Node {
    id: u64,
    advertise: String,
    /// The replica that it says is ready.
    serves: OnceLock<Fence>,
    sequence: AtomicU64,
    /// Reports acknowledged on the present stream.
    acknowledged: AtomicU64,
}

impl Fleet {
    /// No node yet.
    pub(crate) fn of(cluster: ClusterId, address: &str) -> Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let way = Way { env: Env::real(), hello: Hello::new(cluster), endpoint };
        Ok(Self { way: Arc::new(way), nodes: Vec::new() })
    }

    /// Lets the coordinator serve the model on so many nodes.
    pub(crate) async fn add_model(&self, replicas: u32) -> Result<()> {
        let model = ModelSpec {
            id: says::MODEL.to_owned(),
            version: says::VERSION.to_owned(),
            architecture: "llama".to_owned(),
            layers: 4,
            context: 128,
            memory_bytes: 1 << 20,
            sha256: "0".repeat(64),
            size_bytes: 1 << 20,
            sources: Vec::new(),
            replicas,
        };
        let request = AddModelRequest { model: Some(model), write: None };
        self.way.cluster_client().add_model(request).await.context("a model")?;
        Ok(())
    }

    /// Lets nodes join until there are so many, and waits until each was heard.
    pub(crate) async fn grow(&mut self, to: usize) -> Result<()> {
        let client = self.way.cluster_client();
        let join = |n: usize| {
            let mut client = client.clone();
            async move {
                let advertise = format!("10.{}.{}.{}:7001", n >> 16 & 255, n >> 8 & 255, n & 255);
                let request = JoinNodeRequest {
                    uuid: format!("{:032x}", n + 1),
                    region: says::REGION.to_owned(),
                    advertise: advertise.clone(),
                    memory_bytes: MEMORY,
                };
                let id = client.join_node(request).await?.into_inner().node;
                Ok::<_, Status>(Node::new(id, advertise))
            }
        };
        let joined = stream::iter(self.nodes.len()..to).map(join).buffered(JOINING);
        let joined: Vec<Node> = joined.try_collect().await.context("nodes join")?;
        for node in joined {
            let node = Arc::new(node);
            self.nodes.push(Arc::clone(&node));
            tokio::spawn(live(node, Arc::clone(&self.way)));
        }
        // Those that join at once get their ids in any order.
        self.nodes.sort_by_key(|node| node.id);
        self.heard().await
    }

    /// Waits until every node's report was acknowledged on its present stream.
    pub(crate) async fn heard(&self) -> Result<()> {
        self.until("every node is heard", |node| node.acknowledged.load(Ordering::Relaxed) > 0).await
    }

    /// Waits until every node has noticed that its stream is gone.
    pub(crate) async fn lost(&self) -> Result<()> {
        self.until("every node has lost its stream", |node| node.acknowledged.load(Ordering::Relaxed) == 0)
            .await
    }

    /// Waits until every node was given a replica, and lets each say from then on that it is ready.
    pub(crate) async fn serve(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let status = self.status().await?;
            for placed in status.models.iter().flat_map(|model| &model.replicas) {
                let node = placed.parts.first().and_then(|part| self.node(part.node));
                if let Some((node, fence)) = node.zip(placed.fence) {
                    node.serves.get_or_init(|| fence);
                }
            }
            let without = self.nodes.iter().filter(|node| node.serves.get().is_none()).count();
            if without == 0 {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "{without} nodes have no replica after {PATIENCE:?}");
            sleep(ASK_EVERY).await;
        }
    }

    /// Reports that were acknowledged so far, on the streams that are open.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.nodes.iter().map(|node| node.acknowledged.load(Ordering::Relaxed)).sum()
    }

    /// How many nodes the coordinator takes for live and has heard of lately.
    pub(crate) async fn live(&self) -> Result<usize> {
        let lately = |age: u64| Duration::from_millis(age) < REPORT_EVERY * 3;
        let live = |node: &NodeStatus| node.health == "live" && node.report_age_ms.is_some_and(lately);
        Ok(self.status().await?.nodes.iter().filter(|node| live(node)).count())
    }

    async fn status(&self) -> Result<StatusResponse> {
        let mut client = self.way.cluster_client().max_decoding_message_size(MAX_STATUS);
        Ok(client.status(StatusRequest::default()).await.context("the coordinator's status")?.into_inner())
    }

    fn node(&self, id: u64) -> Option<&Node> {
        let at = self.nodes.binary_search_by_key(&id, |node| node.id).ok()?;
        self.nodes.get(at).map(Arc::as_ref)
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Node) -> bool) -> Result<()> {
        let began = Instant::now();
        while let missing @ 1.. = self.nodes.iter().filter(|node| !is_so(node)).count() {
            ensure!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} until {what}: {missing} are missing");
            sleep(POLL).await;
        }
        Ok(())
    }
}

impl Way {
    fn connector(&self) -> Connector {
        Connector(Arc::clone(&self.env.network))
    }

    fn cluster_client(&self) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.endpoint.connect_with_connector_lazy(self.connector()))
    }
}

impl Node {
    fn new(id: u64, advertise: String) -> Self {
        let (sequence, acknowledged) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { id, advertise, serves: OnceLock::new(), sequence, acknowledged }
    }
}

/// Reports until the process ends, over one stream after the other.
async fn live(node: Arc<Node>, way: Arc<Way>) {
    let mut rest = RETRY_FIRST;
    // Nodes have not all started in the same moment.
    sleep(REPORT_EVERY.mul_f64(drawn(&way))).await;
    loop {
        // A stream that ends is opened again, whatever ended it.
        let _ = report(&node, &way).await;
        let was_heard = node.acknowledged.swap(0, Ordering::Relaxed) > 0;
        rest = if was_heard { RETRY_FIRST } else { (rest * 2).min(RETRY_LONGEST) };
        sleep(rest.mul_f64(drawn(&way))).await;
    }
}

/// One stream, until it ends.
async fn report(node: &Arc<Node>, way: &Way) -> Result<()> {
    let channel = way.endpoint.connect_with_connector(way.connector()).await?;
    let mut client = TelemetryServiceClient::new(HelloClientLayer::new(way.hello.clone()).layer(channel));
    let speaker = Arc::clone(node);
    let reports = IntervalStream::new(interval(REPORT_EVERY)).map(move |_| {
        let sequence = speaker.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        says::report(speaker.id, &speaker.advertise, sequence, speaker.serves.get().copied())
    });
    let mut acks = client.report(reports).await?.into_inner();
    while acks.message().await?.is_some() {
        node.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// A share of one.
fn drawn(way: &Way) -> f64 {
    (way.env.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}
