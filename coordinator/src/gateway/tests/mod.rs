//! The gateway through its own door: real clients and real gRPC over a network in memory, state and reports by hand, and
//! nodes that do what a test says. Time is tokio's paused clock: nothing waits in fact.

mod bad_input;
mod deadlines;
mod departures;
mod failover;
mod health;
mod node;
mod open_inference;
mod slow_clients;

use std::sync::Arc;
use std::time::Duration;

use helixflow_env::Env;
use helixflow_env::net::Connector;
use helixflow_model::{
    Architecture, Bytes, ClusterId, Fence, Generation, Incarnation, LayerRange, LoadReport, ModelId,
    ModelSpec, NodeId, NodeReport, NumericsClass, Region, ReplicaId, ReplicaPhase, ReplicaReport, RequestId,
};
use helixflow_policy::state::{Capacity, ClusterState, Command, Move, MoveReason, NodeUuid, Part};
use helixflow_proto::context::{ContextLayer, ContextService, Trust};
use helixflow_proto::error::Reason;
use helixflow_proto::hello::{Hello, HelloLayer};
use helixflow_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use helixflow_proto::v1::generate_request::Prompt;
use helixflow_proto::v1::inference_service_client::InferenceServiceClient;
use helixflow_proto::v1::{GenerateRequest, GenerateResponse};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::Layer;
use tower::util::MapResponseLayer;

use super::{Gateway, Inputs, explain_reply};
use crate::telemetry::Telemetry;
use node::{Act, FakeNode};

/// On the paused clock: what has not happened by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway, its nodes, and what it is told of them.
struct World {
    nodes: Vec<FakeNode>,
    telemetry: Telemetry,
    stop: CancellationToken,
    server: JoinHandle<()>,
    env: Env,
    address: String,
    channel: Channel,
    routes: Routes,
}

impl World {
    /// A gateway with one ready replica of model `m` on each node.
    async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        let world = Self::before_reports(acts, true).await;
        world.report(ReplicaPhase::Ready);
        world.health("", ServingStatus::Serving).await;
        world
    }

    /// The same, before any node was heard; without `is_member` also before the state came.
    async fn before_reports(acts: impl IntoIterator<Item = Act>, is_member: bool) -> Self {
        Self::with(acts, is_member, true).await
    }

    /// The same, with reflection on or off.
    async fn with(acts: impl IntoIterator<Item = Act>, is_member: bool, reflection: bool) -> Self {
        let env = Env::simulated(7);
        let mut nodes = Vec::new();
        for act in acts {
            nodes.push(FakeNode::start(&env, act).await);
        }
        let state = if is_member { state(&nodes) } else { ClusterState::default() };
        let (telemetry, stop) = (Telemetry::new(), CancellationToken::new());
        tokio::spawn(telemetry.clone().publish());
        let gateway = Gateway::new(Inputs {
            env: env.clone(),
            hello: hello(),
            region: region(),
            reflection,
            state: watch::channel(Arc::new(state)).1,
            reports: telemetry.watch(),
            stop: stop.clone(),
        });
        let routes = gateway.add_to(Routes::default()).expect("good descriptors");
        tokio::spawn(gateway.keep_current());
        let (address, server) = serve(&env, routes.clone(), stop.clone()).await;
        let channel = connect(&env, &address);
        Self { nodes, telemetry, stop, server, env, address, channel, routes }
    }

    /// Each node says how its replica stands.
    fn report(&self, phase: ReplicaPhase) {
        for (id, node) in (1..).zip(&self.nodes) {
            self.telemetry.hear(report(id, &node.address, phase), 1, Instant::now()).expect("room");
        }
    }

    /// Waits until a name has this status.
    async fn health(&self, name: &str, expected: ServingStatus) {
        let request = HealthCheckRequest { service: name.to_owned() };
        let watch = HealthClient::new(self.channel.clone()).watch(request).await;
        let mut statuses = watch.expect("a watch").into_inner();
        let wait = async {
            while statuses.message().await.expect("a status").map(|s| s.status()) != Some(expected) {}
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{name:?} is never {expected:?}"));
    }

    fn client(&self) -> InferenceServiceClient<Channel> {
        InferenceServiceClient::new(self.channel.clone())
    }

    /// A client with a connection of its own.
    fn another_client(&self) -> InferenceServiceClient<Channel> {
        InferenceServiceClient::new(connect(&self.env, &self.address))
    }

    /// A client without a transport between, which would end a call by its own clock.
    fn direct(&self) -> InferenceServiceClient<ContextService<Routes>> {
        InferenceServiceClient::new(context_layer(Trust::Clients).layer(self.routes.clone()))
    }

    fn open_inference(&self) -> GrpcInferenceServiceClient<Channel> {
        GrpcInferenceServiceClient::new(self.channel.clone())
    }

    /// The whole of one stream, or how it failed.
    async fn generate(&self, request: GenerateRequest) -> Result<Vec<GenerateResponse>, Status> {
        collect(self.client().generate(request).await?.into_inner()).await
    }

    /// How often nodes were asked, all together.
    fn asked(&self) -> usize {
        self.nodes.iter().map(FakeNode::asked).sum()
    }
}

async fn serve(env: &Env, routes: Routes, stop: CancellationToken) -> (String, JoinHandle<()>) {
    let port = env.network.bind(([127, 0, 0, 1], 0).into()).await.expect("a port");
    let address = port.local_addr().to_string();
    let server = Server::builder()
        .layer(HelloLayer::new(hello()))
        .layer(context_layer(Trust::Clients))
        .layer(MapResponseLayer::new(explain_reply))
        .add_routes(routes)
        .serve_with_incoming_shutdown(port, stop.cancelled_owned());
    let server = tokio::spawn(async { server.await.expect("a server") });
    (address, server)
}

fn connect(env: &Env, address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect_with_connector_lazy(Connector(Arc::clone(&env.network)))
}

async fn collect(mut stream: Streaming<GenerateResponse>) -> Result<Vec<GenerateResponse>, Status> {
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

fn context_layer(trust: Trust) -> ContextLayer {
    ContextLayer::new(trust, || RequestId::new("drawn").expect("a valid name"))
}

fn hello() -> Hello {
    Hello::new(ClusterId::new("alpha").expect("a valid name"))
}

fn region() -> Region {
    Region::new("eu-1").expect("a valid name")
}

fn prompt(text: &str) -> GenerateRequest {
    GenerateRequest {
        model: "m".to_owned(),
        prompt: Some(Prompt::Text(text.to_owned())),
        ..Default::default()
    }
}

/// The code and the reason of a refusal.
fn told(status: &Status) -> (tonic::Code, String) {
    (status.code(), Reason::of(status).unwrap_or_default())
}

/// A cluster in which node n holds replica n of model `m`.
fn state(nodes: &[FakeNode]) -> ClusterState {
    let mut state = ClusterState::default();
    let bootstrap = Command::Bootstrap {
        cluster: ClusterId::new("alpha").expect("a valid name"),
        incarnation: Incarnation(1),
    };
    let joins = (1..).zip(nodes).map(|(uuid, node)| Command::JoinNode {
        uuid: NodeUuid(uuid),
        region: region(),
        advertise: node.address.clone(),
        capacity: Capacity { boards: 1, memory: Bytes(1 << 30) },
    });
    for command in std::iter::once(bootstrap).chain(joins).chain([Command::AddModel { spec: spec() }]) {
        state.apply(state.epoch().0 + 1, command);
    }
    for (node, _) in (1..).zip(nodes) {
        let place = Move::PlaceReplica {
            model: ModelId::new("m").expect("a valid name"),
            version: "1".to_owned(),
            parts: vec![Part { node: NodeId(node), layers: LayerRange { first: 0, end: 4 } }],
            reason: MoveReason::BelowTarget { target: 1 },
        };
        let based_on = state.epoch();
        state.apply(based_on.0 + 1, Command::ApplyPlan { based_on, moves: vec![place] });
    }
    state
}

fn spec() -> ModelSpec {
    ModelSpec {
        id: ModelId::new("m").expect("a valid name"),
        version: "1".to_owned(),
        architecture: Architecture::Llama,
        layers: 4,
        context: 128,
        memory: Bytes(1 << 20),
        sha256: "0".repeat(64),
        size: Bytes(1 << 20),
        sources: Vec::new(),
        replicas: 1,
    }
}

fn report(id: u64, address: &str, phase: ReplicaPhase) -> NodeReport {
    let replica = ReplicaReport {
        fence: Fence { replica: ReplicaId(id), generation: Generation(1) },
        epoch: helixflow_model::Epoch(1),
        model: ModelId::new("m").expect("a valid name"),
        version: "1".to_owned(),
        phase,
        detail: String::new(),
        numerics: NumericsClass("cpu-1".to_owned()),
        load: LoadReport::default(),
        boards: Vec::new(),
    };
    NodeReport {
        node: NodeId(id),
        region: region(),
        advertise: address.to_owned(),
        sequence: 1,
        age: Duration::ZERO,
        boards: Vec::new(),
        replicas: vec![replica],
    }
}
