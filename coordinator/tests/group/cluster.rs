//! A small cluster on free ports of the loopback interface, each coordinator with a data directory of its own.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use helixflow_coordinator::config::{HttpPort, Port, Timings};
use helixflow_coordinator::raft::{Handle, Role};
use helixflow_coordinator::{Addresses, Coordinator, CoordinatorConfig, CoordinatorError, Routing};
use helixflow_env::Env;
use helixflow_env::net::{Connector, draw_ports};
use helixflow_model::{ClusterId, CoordinatorId, Region};
use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::{AddModelRequest, BootstrapRequest, ModelSpec};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};

/// Nothing here takes so long, even on a machine whose cores are all busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The port of a coordinator that was never started.
const NO_PORT: &str = "127.0.0.1:0";

/// A coordinator that runs.
pub(crate) struct Running {
    pub(crate) addresses: Addresses,
    pub(crate) raft: Handle,
    pub(crate) routing: Routing,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), CoordinatorError>>,
}

/// Coordinators by id, and their folders.
pub(crate) struct Cluster {
    pub(crate) env: Env,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) running: BTreeMap<u64, Running>,
    ports: BTreeMap<u64, Addresses>,
    regions: BTreeMap<u64, &'static str>,
    timings: Timings,
}

impl Cluster {
    /// That many coordinators, not yet bootstrapped.
    pub(crate) async fn start(count: u64) -> Self {
        Self::start_in(Env::real(), count).await
    }

    /// The same in another world.
    pub(crate) async fn start_in(env: Env, count: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (running, ports, regions) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut cluster = Self { env, folder, running, ports, regions, timings: timings() };
        for id in 1..=count {
            cluster.start_one(id).await;
        }
        cluster
    }

    /// Puts a coordinator that was not started yet into a region other than the usual one.
    pub(crate) fn place(&mut self, id: u64, region: &'static str) {
        self.regions.insert(id, region);
    }

    fn region(&self, id: u64) -> &'static str {
        self.regions.get(&id).copied().unwrap_or("eu-1")
    }

    /// Lets a coordinator draw new ports at its next start.
    pub(crate) fn forget_ports(&mut self, id: u64) {
        self.ports.remove(&id);
    }

    /// The same, bootstrapped, with a leader.
    pub(crate) async fn bootstrapped(count: u64) -> Self {
        Self::start(count).await.bootstrap().await
    }

    /// The same, which waits so long for a leader that is silent.
    pub(crate) async fn patient(count: u64, lease: Duration) -> Self {
        let timings =
            Timings { election_min: lease / 2, election_max: lease, node_lease: lease * 4, ..timings() };
        let mut cluster = Self { timings, ..Self::start(0).await };
        for id in 1..=count {
            cluster.start_one(id).await;
        }
        cluster.bootstrap().await
    }

    async fn bootstrap(self) -> Self {
        self.client(1).bootstrap(self.bootstrap_request()).await.expect("a bootstrap");
        self
    }

    /// Starts a coordinator on its folder, on the ports that it had before; at its first start they are drawn.
    pub(crate) async fn start_one(&mut self, id: u64) {
        if !self.ports.contains_key(&id) {
            let drawn = draw_ports(&self.env, 3).await.expect("free ports");
            let [grpc, raft] = [0, 1].map(|port: usize| drawn[port].to_string());
            self.ports.insert(id, Addresses { grpc, raft, http: drawn[2] });
        }
        let config = self.config(id);
        let coordinator = Coordinator::start(config, self.env.clone(), metrics()).await.expect("a start");
        let (stop, stopped) = oneshot::channel();
        let (addresses, raft) = (coordinator.addresses().clone(), coordinator.raft().clone());
        let routing = coordinator.routing().clone();
        let serve = coordinator.serve(async move {
            let _ = stopped.await;
        });
        self.running.insert(id, Running { addresses, raft, routing, stop, ended: tokio::spawn(serve) });
    }

    /// The configuration of a coordinator; it has ports once it was started.
    pub(crate) fn config(&self, id: u64) -> CoordinatorConfig {
        let none = || Addresses { grpc: NO_PORT.to_owned(), raft: NO_PORT.to_owned(), http: socket(NO_PORT) };
        let ports = self.ports.get(&id).cloned().unwrap_or_else(none);
        let port = |address: &str| Port { listen: socket(address), advertise: None };
        CoordinatorConfig {
            cluster: ClusterId::new("alpha").expect("a valid name"),
            id: CoordinatorId(id),
            region: Region::new(self.region(id)).expect("a valid name"),
            data_dir: self.folder.path().join(id.to_string()),
            grpc: port(&ports.grpc),
            raft: port(&ports.raft),
            http: HttpPort { listen: ports.http },
            timings: self.timings.clone(),
            reflection: true,
            otlp_endpoint: None,
        }
    }

    /// Stops a coordinator and waits until it has ended.
    pub(crate) async fn stop(&mut self, id: u64) {
        let running = self.running.remove(&id).expect("a running coordinator");
        let _ = running.stop.send(());
        let ended = timeout(PATIENCE, running.ended).await.expect("an end in time");
        ended.expect("no panic").expect("an orderly end");
    }

    /// Waits until a coordinator has ended by itself, and tells why.
    pub(crate) async fn ends(&mut self, id: u64) -> CoordinatorError {
        let running = self.running.remove(&id).expect("a running coordinator");
        let ended = timeout(PATIENCE, running.ended).await.expect("an end in time");
        ended.expect("no panic").expect_err("an end with an error")
    }

    /// Waits until a coordinator ends by itself, and tells why, with the causes.
    pub(crate) async fn end_of(&mut self, id: u64) -> String {
        let running = self.running.remove(&id).expect("a running coordinator");
        let ended = timeout(PATIENCE, running.ended).await.expect("an end in time").expect("no panic");
        with_causes(&ended.expect_err("an end by itself"))
    }

    /// The members as a bootstrap names them.
    pub(crate) fn bootstrap_request(&self) -> BootstrapRequest {
        BootstrapRequest { raft: self.ports.values().map(|addresses| addresses.raft.clone()).collect() }
    }

    /// A client of one coordinator.
    pub(crate) fn client(&self, id: u64) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.channel(&self.running[&id].addresses.grpc))
    }

    /// A connection to `host:port`.
    pub(crate) fn channel(&self, address: &str) -> Channel {
        Endpoint::from_shared(format!("http://{address}"))
            .expect("an address")
            .connect_with_connector_lazy(Connector(self.env.network.clone()))
    }

    /// The leader that a majority follows, once there is one.
    pub(crate) async fn leader(&self) -> u64 {
        eventually("a leader", || async {
            let leads = |(id, r): (&u64, &Running)| {
                (r.raft.standing().role == Role::Leader).then_some((*id, r.raft.standing().term))
            };
            self.running.iter().filter_map(leads).max_by_key(|(_, term)| *term).map(|(id, _)| id)
        })
        .await
    }

    /// Some coordinator that does not lead.
    pub(crate) async fn follower(&self) -> u64 {
        let leader = self.leader().await;
        *self.running.keys().find(|id| **id != leader).expect("a second coordinator")
    }

    /// Waits until every running coordinator has applied the same state, and gives its epoch.
    pub(crate) async fn agreed(&self) -> u64 {
        eventually("one state everywhere", || async {
            let states: Vec<_> = self.running.values().map(|r| r.raft.state().borrow().clone()).collect();
            let first = states.first()?;
            let leader = self.running.values().filter(|r| r.raft.standing().role == Role::Leader);
            let settled = leader.count() == 1 && states.iter().all(|state| state == first);
            settled.then(|| first.epoch().0)
        })
        .await
    }
}

/// An error and what caused it.
pub(crate) fn with_causes(error: &CoordinatorError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// Asks again until there is an answer.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{what} did not come within {PATIENCE:?}"))
}

/// Slower than the defaults: tests share the machine with others.
pub(crate) fn timings() -> Timings {
    Timings {
        heartbeat: Duration::from_millis(100),
        election_min: Duration::from_millis(500),
        election_max: Duration::from_millis(900),
        ..Timings::default()
    }
}

pub(crate) fn metrics() -> metrics_exporter_prometheus::PrometheusHandle {
    PrometheusBuilder::new().build_recorder().handle()
}

/// A write at a coordinator: it adds a model.
pub(crate) async fn write(cluster: &Cluster, at: u64, name: &str) {
    let request = AddModelRequest { model: Some(model(name)), write: None };
    cluster.client(at).add_model(request).await.expect("a write");
}

/// A model that can be added.
pub(crate) fn model(id: &str) -> ModelSpec {
    ModelSpec {
        id: id.to_owned(),
        version: "1".to_owned(),
        architecture: "llama".to_owned(),
        layers: 4,
        context: 128,
        memory_bytes: 1 << 20,
        sha256: "0".repeat(64),
        size_bytes: 1 << 20,
        sources: Vec::new(),
        replicas: 1,
    }
}

fn socket(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}
