//! One coordinator: its ports, its runtimes, its tasks, from start to end.
//!
//! Raft, its network and its port live on a thread of their own; the log's writer blocks on another. Everything else
//! (clients, nodes, reports, the reconcile loop) shares the caller's.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use helixflow_env::disk::Lock;
use helixflow_env::limits::raise_open_files;
use helixflow_env::net::Listener;
use helixflow_env::runtime::Dedicated;
use helixflow_env::{Env, Randomness};
use helixflow_model::RequestId;
use helixflow_policy::failover::{Advice, LeaseTerms};
use helixflow_policy::state;
use helixflow_proto::context::{ContextLayer, Trust};
use helixflow_proto::hello::{Hello, HelloLayer};
use helixflow_proto::v1::cluster_service_server::ClusterServiceServer;
use helixflow_proto::v1::digest_service_server::DigestServiceServer;
use helixflow_proto::v1::telemetry_service_server::TelemetryServiceServer;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tower::util::MapResponseLayer;

use crate::config::CoordinatorConfig;
use crate::digests::{Exchange, MAX_DIGEST_BYTES, Presence};
use crate::error::CoordinatorError;
use crate::gateway::{self, Gateway, Routing};
use crate::neighbours::Neighbours;
use crate::ports::{Addresses, Ports};
use crate::raft::{Handle, RestingRuntime, Setup, Sizes};
use crate::telemetry::{MAX_REPORT_BYTES, Telemetry};
use crate::{cluster, digests, http, raft, reconcile, telemetry};

/// Threads for what may take long on the disk: the log's next segment, and a snapshot beside it.
const DISK_THREADS: usize = 2;
/// A silent client is asked for a sign of life this often, and given as long to answer: the streams of a machine that
/// vanished end then.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Connections of a thousand nodes, both ways, and of clients: below that an operator is told.
const CONNECTIONS: u64 = 4096;
/// How long calls under way may take when the process ends.
const DRAIN: Duration = Duration::from_secs(3);

/// Runs a coordinator until `shutdown` is done, or until it cannot go on.
pub async fn run(
    config: CoordinatorConfig,
    env: Env,
    metrics: PrometheusHandle,
    shutdown: impl Future<Output = ()>,
) -> Result<(), CoordinatorError> {
    Coordinator::start(config, env, metrics).await?.serve(shutdown).await
}

/// A coordinator whose ports are open.
pub struct Coordinator {
    addresses: Addresses,
    raft: Handle,
    routing: Routing,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), CoordinatorError>>,
    /// Ends last: the threads of Raft, of its log and of the disk, and the claim on the data directory.
    _held: ([Dedicated; 3], Lock),
}

impl Coordinator {
    /// Checks the configuration, opens the ports, starts Raft and the servers.
    pub async fn start(
        config: CoordinatorConfig,
        env: Env,
        metrics: PrometheusHandle,
    ) -> Result<Self, CoordinatorError> {
        config.check()?;
        allow_connections();
        let lock = claim(&config, &env)?;
        let threads = |name| move |source| CoordinatorError::Threads { name, source };
        let raft_runtime = Dedicated::single("raft").map_err(threads("raft"))?;
        let log_runtime = Dedicated::single("raft-log").map_err(threads("raft-log"))?;
        let disk_runtime = Dedicated::several("raft-disk", DISK_THREADS).map_err(threads("raft-disk"))?;
        let Ports { grpc, raft: raft_port, http, addresses } =
            Ports::bind(&config, &env, raft_runtime.handle()).await?;
        let about = addresses.record(config.region.clone());
        let setup = Setup {
            id: config.id,
            about: about.clone(),
            hello: Hello::new(config.cluster.clone()),
            timings: config.timings.clone(),
            sizes: Sizes::default(),
            data_dir: config.data_dir.clone(),
            env: env.clone(),
            log: log_runtime.handle().clone(),
            disk: disk_runtime.handle().clone(),
        };
        let (raft, routes) = start_raft(setup, raft_runtime.handle()).await?;
        let stop = CancellationToken::new();
        let (advice, advised) = watch::channel(None);
        let mut starting = Starting { config, env, raft, advised, stop, tasks: JoinSet::new() };
        starting.serve_raft(raft_port, routes, raft_runtime.handle());
        starting.serve_http(http, metrics);
        let routing = starting.serve_grpc(grpc)?;
        starting.watch_neighbours(about, advice);
        let Starting { config, raft, stop, tasks, .. } = starting;
        tracing::info!(
            id = %config.id, cluster = %config.cluster, grpc = %addresses.grpc, raft = %addresses.raft,
            http = %addresses.http, "the coordinator answers"
        );
        Ok(Self {
            addresses,
            raft,
            routing,
            stop,
            tasks,
            _held: ([raft_runtime, log_runtime, disk_runtime], lock),
        })
    }

    /// The addresses as others reach them, with the ports that were drawn.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The way to the replicated state.
    pub fn raft(&self) -> &Handle {
        &self.raft
    }

    /// The table that requests are routed by.
    pub fn routing(&self) -> &Routing {
        &self.routing
    }

    /// Serves until `shutdown` is done, or until this coordinator cannot go on; then ends in order.
    pub async fn serve(mut self, shutdown: impl Future<Output = ()>) -> Result<(), CoordinatorError> {
        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            ended = self.raft.ended() => Err(ended.into()),
            ended = self.tasks.join_next() => flatten(ended),
        };
        self.stop.cancel();
        let drain = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(DRAIN, drain).await.is_err() {
            tracing::warn!("calls that were still under way are cut off");
            self.tasks.abort_all();
        }
        self.raft.stop().await;
        outcome
    }
}

/// The end of a task: an error, unless everything was told to end.
fn flatten(
    ended: Option<Result<Result<(), CoordinatorError>, tokio::task::JoinError>>,
) -> Result<(), CoordinatorError> {
    match ended {
        Some(Ok(result)) => result,
        Some(Err(source)) => {
            Err(CoordinatorError::Server { name: "coordinator's", source: Box::new(source) })
        }
        None => Ok(()),
    }
}

/// Each node holds a connection here, and is given one by the gateway.
fn allow_connections() {
    match raise_open_files() {
        Ok(files) if files < CONNECTIONS => {
            tracing::warn!(
                files,
                "a large cluster needs more open files: raise the hard limit (`ulimit -Hn`, LimitNOFILE)"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}

/// Makes the data directory and takes it for this process alone.
pub(crate) fn claim(config: &CoordinatorConfig, env: &Env) -> Result<Lock, CoordinatorError> {
    let path = || config.data_dir.clone();
    env.disk
        .create_dir_all(&config.data_dir)
        .map_err(|source| CoordinatorError::DataDir { path: path(), source })?;
    env.disk
        .lock(&config.data_dir.join("lock"))
        .map_err(|source| CoordinatorError::InUse { path: path(), source })
}

async fn start_raft(setup: Setup, runtime: &Runtime) -> Result<(Handle, Routes), CoordinatorError> {
    let started = runtime.spawn(async {
        RestingRuntime::rest(setup.timings.heartbeat, Arc::clone(&setup.env.random));
        raft::start::<RestingRuntime>(setup).await
    });
    let started = started.await;
    let died = |source| CoordinatorError::Server { name: "Raft", source: Box::new(source) };
    Ok(started.map_err(died)??)
}

/// A coordinator whose servers are being started.
struct Starting {
    config: CoordinatorConfig,
    env: Env,
    raft: Handle,
    /// What is to be changed about the timings.
    advised: watch::Receiver<Option<Advice>>,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), CoordinatorError>>,
}

impl Starting {
    /// The Raft port, on Raft's runtime. It closes at once when the process ends: the others then notice soonest.
    fn serve_raft(&mut self, port: Listener, routes: Routes, runtime: &Runtime) {
        let server = Server::builder()
            .layer(HelloLayer::new(Hello::new(self.config.cluster.clone())))
            .layer(context_layer(Trust::Members, Arc::clone(&self.env.random)))
            .add_routes(routes)
            .serve_with_incoming(port);
        let stop = self.stop.clone();
        let serve = async move {
            tokio::select! {
                ended = server => ended.map_err(|source| ended_with("Raft port's", source)),
                () = stop.cancelled() => Ok(()),
            }
        };
        self.tasks.spawn_on(serve, runtime);
    }

    fn serve_http(&mut self, port: Listener, metrics: PrometheusHandle) {
        let served = http::serve(port, self.raft.clone(), metrics, self.stop.clone().cancelled_owned());
        self.tasks.spawn(async move { served.await.map_err(|source| ended_with("HTTP", source)) });
    }

    /// What this coordinator does about its own place in the group.
    fn watch_neighbours(&mut self, about: state::Coordinator, advice: watch::Sender<Option<Advice>>) {
        let neighbours = Neighbours {
            raft: self.raft.clone(),
            about,
            timings: self.config.timings.clone(),
            random: Arc::clone(&self.env.random),
            advice,
        };
        let stop = self.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled(neighbours.watch()).await.unwrap_or(Ok(())) });
    }

    /// The port of clients, nodes and operators, and the reconcile loop beside it.
    fn serve_grpc(&mut self, port: Listener) -> Result<Routing, CoordinatorError> {
        let telemetry = Telemetry::new();
        let publish = telemetry.clone().publish();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(publish).await;
            Ok(())
        });
        let terms = LeaseTerms { lease: self.config.timings.node_lease, ..LeaseTerms::default() };
        let random = Arc::clone(&self.env.random);
        let (presence, speaks) = self.exchange_digests(&telemetry);
        let reconcile =
            reconcile::run(self.raft.clone(), telemetry.watch(), speaks, terms, Arc::clone(&random));
        self.until_stopped(reconcile);
        let gateway = self.gateway(&telemetry);
        let routing = gateway.routing();
        let routes =
            gateway.add_to(self.routes(&telemetry, presence)).map_err(|source| ended_with("gRPC", source))?;
        self.tasks.spawn(async move {
            gateway.keep_current().await;
            Ok(())
        });
        let server = Server::builder()
            .layer(HelloLayer::new(Hello::new(self.config.cluster.clone())))
            .layer(context_layer(Trust::Clients, random))
            .layer(MapResponseLayer::new(gateway::explain_reply))
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE))
            .max_concurrent_streams(gateway::MAX_STREAMS as u32)
            .initial_stream_window_size(digests::WINDOW)
            .initial_connection_window_size(digests::WINDOW)
            .add_routes(routes)
            .serve_with_incoming_shutdown(port, self.stop.clone().cancelled_owned());
        self.tasks.spawn(async move { server.await.map_err(|source| ended_with("gRPC", source)) });
        Ok(routing)
    }

    /// What passes between regions: who of this one is heard, and whether this coordinator speaks for it.
    fn exchange_digests(&mut self, telemetry: &Telemetry) -> (Presence, watch::Receiver<bool>) {
        let (speaks, spoken) = watch::channel(false);
        let presence = Presence::default();
        let exchange = Exchange {
            env: self.env.clone(),
            hello: Hello::new(self.config.cluster.clone()),
            us: self.raft.us().0,
            region: self.config.region.clone(),
            state: self.raft.state(),
            reports: telemetry.watch(),
            presence: presence.clone(),
            speaks,
        };
        self.until_stopped(exchange.run());
        (presence, spoken)
    }

    /// Does this until the process is to end.
    fn until_stopped(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(work).await;
            Ok(())
        });
    }

    fn gateway(&self, telemetry: &Telemetry) -> Gateway {
        Gateway::new(gateway::Inputs {
            env: self.env.clone(),
            hello: Hello::new(self.config.cluster.clone()),
            region: self.config.region.clone(),
            reflection: self.config.reflection,
            state: self.raft.state(),
            reports: telemetry.watch(),
            stop: self.stop.clone(),
        })
    }

    /// The services of the port for clients, nodes and operators.
    fn routes(&self, telemetry: &Telemetry, presence: Presence) -> Routes {
        let reports = telemetry::Service::new(telemetry.clone(), self.raft.state(), self.stop.clone());
        let reports = TelemetryServiceServer::new(reports).max_decoding_message_size(MAX_REPORT_BYTES);
        let region = self.config.region.clone();
        let digests = digests::Service::new(region, telemetry.clone(), presence, self.raft.state());
        let digests = DigestServiceServer::new(digests).max_decoding_message_size(MAX_DIGEST_BYTES);
        let cluster = cluster::Service::new(
            self.config.cluster.clone(),
            self.raft.clone(),
            telemetry.watch(),
            self.advised.clone(),
            Arc::clone(&self.env.wall_clock),
            self.stop.clone(),
        );
        Routes::new(reports).add_service(digests).add_service(ClusterServiceServer::new(cluster))
    }
}

/// The way into a port: every call gets its context there.
fn context_layer(trust: Trust, random: Arc<dyn Randomness>) -> ContextLayer {
    ContextLayer::new(trust, move || RequestId::drawn(random.next_u64()))
}

fn ended_with(
    name: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> CoordinatorError {
    CoordinatorError::Server { name, source: source.into() }
}
