//! The gateway: clients' requests in, nodes' tokens out. Any coordinator serves any request, with or without a quorum.
//!
//! ```text
//! inference, open_inference   the two services that clients know
//!        └─ dispatch          picks a replica from the routing table, calls its node, tries another
//!             └─ stream       carries the tokens back
//! table                       joins state and reports into a new routing table, swapped in whole
//! health                      follows the table
//! ```
//!
//! No lock, no mailbox and no Raft stand on a request's path; nothing here tokenizes.

mod channels;
mod dispatch;
mod health;
mod inference;
mod meter;
mod open_inference;
mod refusal;
mod stream;
mod table;

use std::sync::Arc;

use arc_swap::ArcSwap;
use helixflow_env::Env;
use helixflow_model::Region;
use helixflow_policy::routing::RoutingTable;
use helixflow_policy::state::ClusterState;
use helixflow_proto::hello::Hello;
use helixflow_proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use helixflow_proto::v1::inference_service_server::InferenceServiceServer;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::Error as ReflectionError;

use crate::telemetry::Reports;
use channels::Channels;
use dispatch::{Dispatch, MAX_MESSAGE};
use health::{HealthService, statuses};
use inference::Inference;
use open_inference::OpenInference;

/// What the gateway is made of.
pub(crate) struct Inputs {
    /// The world outside.
    pub(crate) env: Env,
    /// Who we say we are to nodes.
    pub(crate) hello: Hello,
    /// Where this coordinator stands: replicas here come first.
    pub(crate) region: Region,
    /// The replicated state.
    pub(crate) state: watch::Receiver<Arc<ClusterState>>,
    /// What nodes report.
    pub(crate) reports: watch::Receiver<Arc<Reports>>,
    /// When the process ends.
    pub(crate) stop: CancellationToken,
}

/// The gateway's services, and the task that keeps its table current.
pub(crate) struct Gateway {
    dispatch: Arc<Dispatch>,
    table: Arc<ArcSwap<RoutingTable>>,
    health: watch::Sender<health::Statuses>,
    inputs: Inputs,
}

impl Gateway {
    pub(crate) fn new(inputs: Inputs) -> Self {
        let table = Arc::<ArcSwap<RoutingTable>>::default();
        let channels = Channels::new(Arc::clone(&inputs.env.network), inputs.hello.clone());
        let random = Arc::clone(&inputs.env.random);
        let dispatch = Dispatch::new(Arc::clone(&table), channels, inputs.region.clone(), random);
        Self { dispatch: Arc::new(dispatch), table, health: watch::channel(statuses(false, false)).0, inputs }
    }

    /// Adds the services to a server: native, Open Inference Protocol, health, reflection.
    pub(crate) fn add_to(&self, routes: Routes) -> Result<Routes, ReflectionError> {
        let native = Inference::new(Arc::clone(&self.dispatch), self.inputs.env.clone());
        let open = OpenInference::new(native.clone(), Arc::clone(&self.table));
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(helixflow_proto::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        Ok(routes
            .add_service(InferenceServiceServer::new(native).max_decoding_message_size(MAX_MESSAGE))
            .add_service(GrpcInferenceServiceServer::new(open).max_decoding_message_size(MAX_MESSAGE))
            .add_service(HealthServer::new(HealthService::new(self.health.subscribe())))
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?))
    }

    /// Keeps table and health current until the process ends; then says so to whoever watches.
    pub(crate) async fn keep_current(self) {
        let Inputs { state, reports, stop, .. } = self.inputs;
        let keep = table::keep_current(state, reports, |table| {
            let health = statuses(table.serves_anything(), false);
            self.table.store(Arc::new(table));
            self.health.send_if_modified(|old| std::mem::replace(old, health.clone()) != health);
        });
        stop.run_until_cancelled(keep).await;
        self.health.send_replace(statuses(false, true));
    }
}
