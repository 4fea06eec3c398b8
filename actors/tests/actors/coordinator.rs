//! A coordinator that gives every node the id 7, the orders of the test, and keeps the latest report.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use helixflow_env::Env;
use helixflow_model::{ClusterId, NodeReport, ReplicaPhase};
use helixflow_proto::hello::{Hello, HelloLayer};
use helixflow_proto::v1;
use helixflow_proto::v1::cluster_service_server::{ClusterService, ClusterServiceServer};
use helixflow_proto::v1::telemetry_service_server::{TelemetryService, TelemetryServiceServer};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status, Streaming};

pub(crate) const NODE: u64 = 7;
/// Where a coordinator stands unless the test places it.
pub(crate) const ADDRESS: &str = "127.0.0.1:7000";

/// The clock stands still while anybody works: this bound only turns a wait for ever into a failure.
const FOR_EVER: Duration = Duration::from_secs(3600);

pub(crate) fn cluster() -> ClusterId {
    ClusterId::new("test").expect("a valid name")
}

#[derive(Clone)]
pub(crate) struct Coordinator {
    orders: watch::Sender<Option<v1::NodePart>>,
    reports: watch::Sender<Option<NodeReport>>,
    /// How many streams of reports are open.
    streams: watch::Sender<usize>,
}

/// One open stream of reports.
struct Open(watch::Sender<usize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Coordinator {
    pub(crate) async fn start(env: &Env) -> Self {
        Self::start_at(env, ADDRESS).await
    }

    pub(crate) async fn start_at(env: &Env, address: &str) -> Self {
        let (orders, reports) = (watch::Sender::new(None), watch::Sender::new(None));
        let this = Self { orders, reports, streams: watch::Sender::new(0) };
        let listener = env.network.bind(address.parse().expect("an address")).await.expect("a free port");
        let services = tonic::transport::Server::builder()
            .layer(HelloLayer::new(Hello::new(cluster())))
            .add_service(ClusterServiceServer::from_arc(Arc::new(this.clone())))
            .add_service(TelemetryServiceServer::from_arc(Arc::new(this.clone())));
        tokio::spawn(services.serve_with_incoming(listener));
        this
    }

    /// Orders the node to run these generations of these replicas.
    pub(crate) fn order(&self, epoch: u64, parts: &[(u64, u64)]) {
        self.order_and_tell(epoch, parts, &[]);
    }

    /// Tells the node that these are the coordinators, and that it is to run nothing.
    pub(crate) fn tell(&self, epoch: u64, coordinators: &[&str]) {
        self.order_and_tell(epoch, &[], coordinators);
    }

    pub(crate) fn order_and_tell(&self, epoch: u64, parts: &[(u64, u64)], coordinators: &[&str]) {
        let assignments = parts.iter().map(|(replica, generation)| assignment(*replica, *generation));
        let assignments = assignments.collect();
        let coordinators = coordinators.iter().map(ToString::to_string).collect();
        let part = v1::NodePart { epoch, incarnation: 1, assignments, coordinators };
        self.orders.send_replace(Some(part));
    }

    /// Waits until so many streams of reports are open here.
    pub(crate) async fn streams(&self, count: usize) {
        let mut streams = self.streams.subscribe();
        let reached = streams.wait_for(|open| *open == count);
        let reached = tokio::time::timeout(FOR_EVER, reached).await;
        reached.expect("so many streams").expect("a coordinator that lives");
    }

    /// The first report from now on that fits.
    pub(crate) async fn report(&self, fits: impl Fn(&NodeReport) -> bool) -> NodeReport {
        let mut reports = self.reports.subscribe();
        let report = reports.wait_for(|report| report.as_ref().is_some_and(&fits));
        let report = tokio::time::timeout(FOR_EVER, report).await;
        let report = report.expect("a report that fits").expect("a coordinator that lives");
        report.clone().expect("a report")
    }

    /// The first report in which this generation of this replica is in that phase.
    pub(crate) async fn phase(&self, replica: u64, generation: u64, phase: ReplicaPhase) -> NodeReport {
        self.report(|report| {
            let is_it = |r: &helixflow_model::ReplicaReport| {
                (r.fence.replica.0, r.fence.generation.0, r.phase) == (replica, generation, phase)
            };
            report.replicas.iter().any(is_it)
        })
        .await
    }
}

fn assignment(replica: u64, generation: u64) -> v1::Assignment {
    v1::Assignment {
        fence: Some(v1::Fence { replica, generation }),
        epoch: 1,
        model: Some(v1::ModelSpec {
            id: "m".to_owned(),
            version: "1".to_owned(),
            architecture: "llama".to_owned(),
            layers: 2,
            context: 64,
            sha256: "0".repeat(64),
            ..Default::default()
        }),
        first_layer: 0,
        end_layer: 2,
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Methods that no node calls.
macro_rules! not_asked_for {
    ($($method:ident($request:ty) -> $response:ty;)*) => {$(
        fn $method<'s, 'f>(&'s self, _: Request<$request>) -> BoxFuture<'f, Result<Response<$response>, Status>>
        where
            's: 'f,
            Self: 'f,
        {
            Box::pin(std::future::ready(Err(Status::unimplemented("not asked for"))))
        }
    )*};
}

#[tonic::async_trait]
impl ClusterService for Coordinator {
    not_asked_for! {
        bootstrap(v1::BootstrapRequest) -> v1::BootstrapResponse;
        status(v1::StatusRequest) -> v1::StatusResponse;
        add_model(v1::AddModelRequest) -> v1::AddModelResponse;
        open_session(v1::OpenSessionRequest) -> v1::OpenSessionResponse;
        put_tenant(v1::PutTenantRequest) -> v1::PutTenantResponse;
        remove_tenant(v1::RemoveTenantRequest) -> v1::RemoveTenantResponse;
        get_tenant(v1::GetTenantRequest) -> v1::GetTenantResponse;
        put_key(v1::PutKeyRequest) -> v1::PutKeyResponse;
        remove_key(v1::RemoveKeyRequest) -> v1::RemoveKeyResponse;
        list_coordinators(v1::ListCoordinatorsRequest) -> v1::ListCoordinatorsResponse;
        remove_coordinator(v1::RemoveCoordinatorRequest) -> v1::RemoveCoordinatorResponse;
        transfer_leader(v1::TransferLeaderRequest) -> v1::TransferLeaderResponse;
        set_leader_regions(v1::SetLeaderRegionsRequest) -> v1::SetLeaderRegionsResponse;
        add_coordinator(v1::AddCoordinatorRequest) -> Self::AddCoordinatorStream;
        backup(v1::BackupRequest) -> Self::BackupStream;
    }

    type AddCoordinatorStream = Answers<v1::AddCoordinatorProgress>;
    type BackupStream = Answers<v1::BackupChunk>;

    async fn join_node(
        &self,
        _: Request<v1::JoinNodeRequest>,
    ) -> Result<Response<v1::JoinNodeResponse>, Status> {
        Ok(Response::new(v1::JoinNodeResponse { node: NODE, epoch: 1 }))
    }

    type WatchNodeStream = Answers<v1::NodePart>;

    async fn watch_node(
        &self,
        request: Request<v1::WatchNodeRequest>,
    ) -> Result<Response<Self::WatchNodeStream>, Status> {
        assert_eq!(request.into_inner().node, NODE);
        let orders = WatchStream::new(self.orders.subscribe()).filter_map(std::future::ready).map(Ok);
        Ok(Response::new(Box::pin(orders)))
    }
}

#[tonic::async_trait]
impl TelemetryService for Coordinator {
    type ReportStream = Answers<v1::ReportAck>;

    async fn report(
        &self,
        request: Request<Streaming<v1::NodeReport>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let latest = self.reports.clone();
        self.streams.send_modify(|open| *open += 1);
        let open = Open(self.streams.clone());
        let acks = request.into_inner().map(move |report| {
            let _while_it_lasts = &open;
            let report = NodeReport::try_from(report?)?;
            let sequence = report.sequence;
            latest.send_replace(Some(report));
            Ok(v1::ReportAck { sequence, applied_index: 1 })
        });
        Ok(Response::new(Box::pin(acks)))
    }
}
