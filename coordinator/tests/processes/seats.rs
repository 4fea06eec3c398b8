//! Three coordinators, each in a process of its own: the binary that the environment names, or this test program once
//! more, told by its environment which configuration to run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use helixflow_coordinator::{CoordinatorConfig, run};
use helixflow_env::Env;
use helixflow_env::net::{Connector, draw_ports};
use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::{BootstrapRequest, StatusRequest, StatusResponse};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};

/// Names the binary `helixflow` to run; `make verify-…` names the optimised one.
const BINARY: &str = "HELIXFLOW_TEST_BINARY";
/// Names the configuration that a child runs.
const CHILD: &str = "HELIXFLOW_TEST_COORDINATOR";
/// Nothing here takes so long, even on a machine whose cores are all busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// A seat that lacks fewer entries follows: under load they all lack some.
const LAG: u64 = 500;
/// How long one call may take before another coordinator is asked.
const CALL: Duration = Duration::from_millis(500);

/// Runs a coordinator for as long as the process lives, when told to; else there is nothing to show.
#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_of_its_own_process() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let env = Env::real();
    let config = CoordinatorConfig::load(env.disk.as_ref(), Path::new(&path)).expect("a configuration");
    let metrics = PrometheusBuilder::new().install_recorder().expect("the only recorder");
    run(config, env, metrics, std::future::pending()).await.expect("an endless run");
}

/// One coordinator's process.
pub(crate) struct Seat {
    id: u64,
    grpc: String,
    raft: String,
    http: String,
    config: PathBuf,
    child: Child,
}

impl Seat {
    async fn start(env: &Env, folder: &Path, id: u64) -> Self {
        let ports = draw_ports(env, 3).await.expect("free ports");
        let [grpc, raft, http] = [0, 1, 2].map(|port: usize| ports[port].to_string());
        let text = format!(
            "cluster = \"alpha\"\nid = {id}\nregion = \"eu-1\"\ndata_dir = {:?}\n\
             grpc = {{ listen = {grpc:?} }}\nraft = {{ listen = {raft:?} }}\nhttp = {{ listen = {http:?} }}\n",
            data_dir(folder, id),
        );
        let config = folder.join(format!("{id}.toml"));
        env.disk.write_durably(&config, text.as_bytes()).expect("a configuration");
        let child = spawn(&config);
        Self { id, grpc, raft, http, config, child }
    }

    /// Ends the process as the kernel does when memory runs out: no handler runs.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("its end");
    }

    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.config);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        data_dir(self.config.parent().expect("a folder"), self.id)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn data_dir(folder: &Path, id: u64) -> PathBuf {
    folder.join(id.to_string())
}

fn spawn(config: &Path) -> Child {
    let mut command = match std::env::var_os(BINARY) {
        Some(binary) => {
            let mut command = Command::new(binary);
            command.args(["coordinator", "run", "--config"]).arg(config);
            command
        }
        None => {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.args(["seats::a_coordinator_of_its_own_process", "--exact", "--nocapture"]);
            command.env(CHILD, config);
            command
        }
    };
    command.stdout(Stdio::null()).spawn().expect("a process")
}

/// One cluster at a time: what one test measures, another must not disturb.
static MACHINE: Mutex<()> = Mutex::const_new(());

pub(crate) struct Cluster {
    pub(crate) env: Env,
    pub(crate) seats: Vec<Seat>,
    _folder: tempfile::TempDir,
    _machine: MutexGuard<'static, ()>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let machine = MACHINE.lock().await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let env = Env::real();
        let mut seats = Vec::new();
        for id in 1..=3 {
            seats.push(Seat::start(&env, folder.path(), id).await);
        }
        let cluster = Self { env, seats, _folder: folder, _machine: machine };
        let request = BootstrapRequest { raft: cluster.seats.iter().map(|seat| seat.raft.clone()).collect() };
        // The processes need a moment to open their ports; the same bootstrap again does no harm.
        cluster
            .until("a bootstrap", async || {
                cluster.client(0).bootstrap(request.clone()).await.ok().map(|_| ())
            })
            .await;
        cluster
    }

    pub(crate) fn client(&self, seat: usize) -> ClusterServiceClient<Channel> {
        let endpoint =
            Endpoint::from_shared(format!("http://{}", self.seats[seat].grpc)).expect("an address");
        ClusterServiceClient::new(endpoint.connect_with_connector_lazy(Connector(self.env.network.clone())))
    }

    pub(crate) async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        let asking = async {
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{what} did not come within {PATIENCE:?}"))
    }

    pub(crate) async fn status(&self, seat: usize) -> Option<StatusResponse> {
        let mut client = self.client(seat);
        let status = timeout(CALL, client.status(StatusRequest::default())).await.ok()?.ok()?;
        Some(status.into_inner())
    }

    /// A metric of one coordinator, from its HTTP port; 0 when it was never recorded.
    pub(crate) async fn metric(&self, seat: usize, name: &str) -> f64 {
        let mut connection = self.env.network.connect(self.seats[seat].http.clone()).await.expect("its port");
        let request = b"GET /metrics HTTP/1.1\r\nHost: coordinator\r\nConnection: close\r\n\r\n";
        connection.write_all(request).await.expect("a request");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.expect("an answer");
        let value = answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_default()
    }

    /// Waits until every seat follows the same leader and has applied what that one had; gives the leader's seat.
    pub(crate) async fn settled(&self) -> usize {
        self.until("a settled group", async || {
            let mut views = Vec::new();
            for seat in 0..self.seats.len() {
                views.push(self.status(seat).await?);
            }
            let leader = views.iter().position(|view| view.leader == view.coordinator)?;
            // Asked in order: whoever was asked after the leader may know more, whoever before it a little less.
            let known = views
                .iter()
                .all(|view| view.leader == views[leader].leader && view.term == views[leader].term);
            let caught_up = views.iter().all(|view| view.applied_index + LAG >= views[leader].applied_index);
            (known && caught_up).then_some(leader)
        })
        .await
    }
}
