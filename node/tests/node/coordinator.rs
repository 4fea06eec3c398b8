//! A coordinator that admits every node, orders what the test says, and keeps the latest report.

use std::pin::Pin;
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

pub(crate) const ADDRESS: &str = "127.0.0.1:7000";
/// Turns a wait for ever into a failure; nothing here takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn cluster() -> ClusterId {
    ClusterId::new("test").expect("a valid name")
}

#[derive(Clone)]
pub(crate) struct Coordinator {
    orders: watch::Sender<v1::NodePart>,
    reports: watch::Sender<Option<NodeReport>>,
}

impl Coordinator {
    pub(crate) async fn start(env: &Env, orders: v1::NodePart) -> Self {
        let this = Self { orders: watch::Sender::new(orders), reports: watch::Sender::new(None) };
        let listener = env.network.bind(ADDRESS.parse().expect("an address")).await.expect("a free port");
        let services = tonic::transport::Server::builder()
            .layer(HelloLayer::new(Hello::new(cluster())))
            .add_service(ClusterServiceServer::new(this.clone()))
            .add_service(TelemetryServiceServer::new(this.clone()));
        tokio::spawn(services.serve_with_incoming(listener));
        this
    }

    /// The first report from now on that fits.
    pub(crate) async fn report(&self, fits: impl Fn(&NodeReport) -> bool) -> NodeReport {
        let mut reports = self.reports.subscribe();
        let report = reports.wait_for(|report| report.as_ref().is_some_and(&fits));
        let report = tokio::time::timeout(PATIENCE, report).await;
        report.expect("a report that fits").expect("a coordinator that lives").clone().expect("a report")
    }

    /// The first report in which the one replica is in that phase.
    pub(crate) async fn phase(&self, phase: ReplicaPhase) -> NodeReport {
        self.report(|report| report.replicas.iter().any(|replica| replica.phase == phase)).await
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
        Ok(Response::new(v1::JoinNodeResponse { node: 1, epoch: 1 }))
    }

    type WatchNodeStream = Answers<v1::NodePart>;

    async fn watch_node(
        &self,
        _: Request<v1::WatchNodeRequest>,
    ) -> Result<Response<Self::WatchNodeStream>, Status> {
        Ok(Response::new(Box::pin(WatchStream::new(self.orders.subscribe()).map(Ok))))
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
        let acks = request.into_inner().map(move |report| {
            let report = NodeReport::try_from(report?)?;
            let sequence = report.sequence;
            latest.send_replace(Some(report));
            Ok(v1::ReportAck { sequence, applied_index: 1 })
        });
        Ok(Response::new(Box::pin(acks)))
    }
}
