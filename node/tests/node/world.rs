//! A node, its coordinator and its model's file, and a gateway's client to it.

use std::path::PathBuf;
use std::time::Duration;

use helixflow_env::Env;
use helixflow_env::net::Connector;
use helixflow_model::{Bytes, ReplicaPhase};
use helixflow_node::{GrpcPort, HttpPort, NodeConfig, NodeError, Simulated};
use helixflow_proto::hello::{Hello, HelloClient, HelloClientLayer};
use helixflow_proto::v1;
use helixflow_proto::v1::generate_response::Event;
use helixflow_proto::v1::shard_generate_request::Prompt;
use helixflow_proto::v1::shard_service_client::ShardServiceClient;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};
use tower::Layer;

use crate::coordinator::{ADDRESS, Coordinator, cluster};
use crate::model;

pub(crate) const GRPC: &str = "127.0.0.1:7400";
pub(crate) const HTTP: &str = "127.0.0.1:7500";
pub(crate) const FENCE: v1::Fence = v1::Fence { replica: 4, generation: 2 };
/// Turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running node.
pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) coordinator: Coordinator,
    pub(crate) config: NodeConfig,
    end: Option<oneshot::Sender<()>>,
    node: JoinHandle<Result<(), NodeError>>,
    _folder: tempfile::TempDir,
}

/// Everything that a stream said.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) start: v1::StreamStart,
    pub(crate) chunks: Vec<v1::TokenChunk>,
    pub(crate) ends: Vec<v1::ChoiceEnd>,
    pub(crate) usage: v1::Usage,
}

impl World {
    /// A node that serves the model.
    pub(crate) async fn ready() -> Self {
        let world = Self::ordered(model::file(), model::LAYERS).await;
        world.coordinator.phase(ReplicaPhase::Ready).await;
        world
    }

    /// A node that is told to serve the first layers of a file.
    pub(crate) async fn ordered(file: Vec<u8>, layers: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.gguf");
        write(&path, &file);
        let orders = orders(&path, &file, layers);
        let env = Env::simulated(1);
        let coordinator = Coordinator::start(&env, orders).await;
        let config = config(folder.path().join("weights"));
        let (end, told) = oneshot::channel();
        let shutdown = async { drop(told.await) };
        let node = tokio::spawn(helixflow_node::run(config.clone(), env.clone(), metrics(), shutdown));
        Self { env, coordinator, config, end: Some(end), node, _folder: folder }
    }

    /// A gateway's client, of the given cluster.
    pub(crate) fn client_of(&self, hello: Hello) -> ShardServiceClient<HelloClient<Channel>> {
        let endpoint = Endpoint::from_shared(format!("http://{GRPC}")).expect("an address");
        let channel = endpoint.connect_with_connector_lazy(Connector(self.env.network.clone()));
        ShardServiceClient::new(HelloClientLayer::new(hello).layer(channel))
    }

    pub(crate) fn client(&self) -> ShardServiceClient<HelloClient<Channel>> {
        self.client_of(Hello::new(cluster()))
    }

    pub(crate) async fn open(
        &self,
        request: v1::ShardGenerateRequest,
    ) -> Result<Streaming<v1::GenerateResponse>, Status> {
        let opening = self.client().generate(request).await;
        Ok(opening?.into_inner())
    }

    /// The whole answer to a request.
    pub(crate) async fn ask(&self, request: v1::ShardGenerateRequest) -> Result<Answer, Status> {
        let stream = self.open(request).await?;
        tokio::time::timeout(PATIENCE, read(stream)).await.expect("a stream that ends")
    }

    /// Tells the node to end, and waits until it has.
    pub(crate) async fn shut_down(mut self) -> Result<(), NodeError> {
        drop(self.end.take());
        let ended = tokio::time::timeout(PATIENCE, self.node).await;
        ended.expect("a node that ends").expect("a node that does not panic")
    }
}

#[expect(clippy::disallowed_methods, reason = "the engine maps a real file")]
fn write(path: &std::path::Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("a file");
}

pub(crate) fn metrics() -> PrometheusHandle {
    PrometheusBuilder::new().build_recorder().handle()
}

fn config(weights_dir: PathBuf) -> NodeConfig {
    NodeConfig {
        cluster: cluster(),
        region: helixflow_model::Region::new("eu-1").expect("a valid name"),
        coordinators: vec![ADDRESS.to_owned()],
        data_dir: PathBuf::from("/node"),
        weights_dir: Some(weights_dir),
        threads: Some(1),
        memory: Some(Bytes(1 << 30)),
        kv_memory: Some(Bytes(1 << 25)),
        grpc: GrpcPort { listen: GRPC.parse().expect("an address"), advertise: None },
        http: HttpPort { listen: HTTP.parse().expect("an address") },
        otlp_endpoint: None,
        simulated: Simulated::default(),
    }
}

fn orders(path: &std::path::Path, file: &[u8], layers: u32) -> v1::NodePart {
    let source = v1::model_source::Source::Path(path.to_string_lossy().into_owned());
    let model = v1::ModelSpec {
        id: "m".to_owned(),
        version: "1".to_owned(),
        architecture: "llama".to_owned(),
        layers: model::LAYERS,
        context: model::CONTEXT,
        memory_bytes: 1 << 26,
        sha256: hex::encode(Sha256::digest(file)),
        size_bytes: file.len() as u64,
        sources: vec![v1::ModelSource { source: Some(source) }],
        replicas: 1,
    };
    let assignment = v1::Assignment {
        fence: Some(FENCE),
        epoch: 3,
        model: Some(model),
        first_layer: 0,
        end_layer: layers,
    };
    v1::NodePart { epoch: 3, incarnation: 1, assignments: vec![assignment], coordinators: Vec::new() }
}

/// A request for a number of tokens after a prompt, whatever the model would rather do.
pub(crate) fn request(prompt: &str, max_tokens: u32) -> v1::ShardGenerateRequest {
    v1::ShardGenerateRequest {
        fence: Some(FENCE),
        stream_id: "s-1".to_owned(),
        prompt: Some(Prompt::Text(prompt.to_owned())),
        sampling: Some(v1::Sampling {
            max_tokens: Some(max_tokens),
            ignore_eos: true,
            temperature: Some(1.0),
            ..Default::default()
        }),
        seed: 11,
        ..Default::default()
    }
}

/// Reads a stream to its end.
pub(crate) async fn read(mut stream: Streaming<v1::GenerateResponse>) -> Result<Answer, Status> {
    let mut answer = Answer::default();
    while let Some(message) = stream.message().await? {
        match message.event.expect("a message with an event") {
            Event::Start(start) => answer.start = start,
            Event::Chunk(chunk) => answer.chunks.push(chunk),
            Event::ChoiceEnd(end) => answer.ends.push(end),
            Event::End(end) => answer.usage = end.usage.expect("an end with usage"),
        }
    }
    Ok(answer)
}

impl Answer {
    /// The tokens of one choice.
    pub(crate) fn tokens(&self, choice: u32) -> Vec<u32> {
        let chunks = self.chunks.iter().filter(|chunk| chunk.choice == choice);
        chunks.flat_map(|chunk| chunk.token_ids.iter().copied()).collect()
    }

    /// The text of one choice.
    pub(crate) fn text(&self, choice: u32) -> String {
        self.chunks.iter().filter(|chunk| chunk.choice == choice).map(|chunk| chunk.text.as_str()).collect()
    }
}
