//! The gateway: clients' requests in, nodes' tokens out. Any coordinator serves any request, with or without a quorum.
//!
//! ```text
//! inference, open_inference   the two services that clients know
//!        └─ dispatch          picks a replica from the snapshot, calls its node, tries another
//!             └─ stream       carries the tokens back
//! table                       joins state and reports into a new routing table
//! snapshot                    table, connections and counts
//! current                     the snapshot of now, swapped in whole
//! health                      follows the snapshot
//! ```
//!
//! No lock, no mailbox and no Raft stand on a request's path; nothing here tokenizes.

mod channels;
mod current;
mod dispatch;
mod explain;
mod health;
mod inference;
mod meter;
mod open_inference;
mod reflection;
mod refusal;
mod routing;
mod snapshot;
mod stream;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use helixflow_env::Env;
use helixflow_model::Region;
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
use current::Current;
use dispatch::{Dispatch, MAX_REQUEST};
use health::{HealthService, statuses};
use inference::Inference;
use open_inference::OpenInference;
use snapshot::Snapshot;

pub(crate) use dispatch::MAX_STREAMS;
pub(crate) use explain::explain_reply;
pub use routing::Routing;

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
    /// Whether reflection is served.
    pub(crate) reflection: bool,
    /// What nodes report.
    pub(crate) reports: watch::Receiver<Arc<Reports>>,
    /// When the process ends.
    pub(crate) stop: CancellationToken,
}

/// The gateway's services, and the task that keeps its snapshot current.
pub(crate) struct Gateway {
    current: Arc<Current>,
    health: watch::Sender<health::Statuses>,
    inputs: Inputs,
}

impl Gateway {
    pub(crate) fn new(inputs: Inputs) -> Self {
        Self { current: Arc::default(), health: watch::channel(statuses(false, false)).0, inputs }
    }

    /// The table that requests are routed by.
    pub(crate) fn routing(&self) -> Routing {
        Routing::of(&self.current)
    }

    /// Adds the services to a server: native, Open Inference Protocol, health, and reflection unless it is off.
    pub(crate) fn add_to(&self, routes: Routes) -> Result<Routes, ReflectionError> {
        let Inputs { env, region, stop, .. } = &self.inputs;
        let current = || Arc::clone(&self.current);
        let dispatch = Dispatch::new(current(), region.clone(), Arc::clone(&env.random), stop.clone());
        let native = Inference::new(Arc::new(dispatch), env.clone());
        let open = OpenInference::new(native.clone(), current(), self.health.subscribe(), stop.clone());
        let routes = routes
            .add_service(InferenceServiceServer::new(native).max_decoding_message_size(MAX_REQUEST))
            .add_service(GrpcInferenceServiceServer::new(open).max_decoding_message_size(MAX_REQUEST))
            .add_service(HealthServer::new(HealthService::new(self.health.subscribe())));
        if self.inputs.reflection { reflection::add_to(routes) } else { Ok(routes) }
    }

    /// Keeps snapshot and health current until the process ends; then says so to whoever watches.
    pub(crate) async fn keep_current(self) {
        let Inputs { env, hello, state, reports, stop, .. } = self.inputs;
        let channels = Channels::new(env.network, hello);
        let keep = table::keep_current(state, reports, |table, is_member| {
            let next = Snapshot::next(&self.current.load(), table, is_member, &channels);
            let health = statuses(next.is_ready(), false);
            self.current.store(next);
            self.health.send_if_modified(|old| std::mem::replace(old, health.clone()) != health);
        });
        stop.run_until_cancelled(keep).await;
        self.health.send_replace(statuses(false, true));
    }
}
