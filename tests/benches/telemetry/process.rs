//! The coordinator to measure: a process of its own, a group of one, on ports and a folder that it keeps.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use helixflow_env::Env;
use helixflow_env::net::{Connector, draw_ports};
use helixflow_proto::v1::BootstrapRequest;
use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_tests::cluster::is_alive;
use helixflow_tests::usage::cpu_time;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tonic::transport::Endpoint;

use crate::says::REGION;

/// The cluster's name.
pub(crate) const CLUSTER: &str = "bench";
/// How long a start may take, on a busy machine with the whole log to read.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often something is looked at.
const POLL: Duration = Duration::from_millis(50);
/// CPU time is looked at so often where its peak matters: long beside the hundredth of a second that it is counted in.
const PEAK_WINDOW: Duration = Duration::from_millis(250);

/// Where a coordinator lives, whether or not it runs.
pub(crate) struct Seat {
    folder: TempDir,
    pub(crate) grpc: String,
    raft: String,
}

/// A coordinator that runs; it ends with this.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        // What has ended by itself needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Seat {
    /// Draws ports and writes the configuration.
    pub(crate) async fn prepare(work: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(work)?;
        let drawn = draw_ports(&Env::real(), 3).await?;
        let [grpc, raft, http] = &drawn[..] else { bail!("three ports were asked for") };
        let text = format!(
            "cluster = {CLUSTER:?}\nid = 1\nregion = {REGION:?}\ndata_dir = {:?}\n\
             grpc = {{ listen = \"{grpc}\" }}\nraft = {{ listen = \"{raft}\" }}\nhttp = {{ listen = \"{http}\" }}\n",
            folder.path().join("data"),
        );
        let seat = Self { grpc: grpc.to_string(), raft: raft.to_string(), folder };
        std::fs::write(seat.config(), text).context("a configuration")?;
        Ok(seat)
    }

    /// Its configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("coordinator.toml")
    }

    /// Starts the product's binary.
    pub(crate) fn start(&self, binary: &Path) -> Result<Running> {
        let mut command = Command::new(binary);
        command.args(["coordinator", "run", "--config"]).arg(self.config());
        self.spawn(&command, Stdio::null())
    }

    /// Starts a program that ends with this one, however this one ends; what it says goes to a file.
    pub(crate) fn spawn(&self, command: &Command, output: Stdio) -> Result<Running> {
        let log = self.folder.path().join("log");
        let mut bound = Command::new("setpriv");
        bound.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
        bound.stdin(Stdio::null()).stdout(output).stderr(std::fs::File::create(&log)?);
        let child =
            bound.spawn().with_context(|| format!("starting {:?} by setpriv", command.get_program()))?;
        Ok(Running { child, log })
    }

    /// Makes a group of it, once it answers.
    pub(crate) async fn bootstrap(&self, running: &mut Running) -> Result<()> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc))?;
        let channel = endpoint.connect_with_connector_lazy(Connector(Env::real().network));
        let request = BootstrapRequest { raft: vec![self.raft.clone()] };
        let began = Instant::now();
        loop {
            match ClusterServiceClient::new(channel.clone()).bootstrap(request.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if began.elapsed() > PATIENCE => return Err(error).context("a bootstrap"),
                Err(_) => sleep(POLL).await,
            }
            running.check()?;
        }
    }
}

impl Running {
    /// Time that it has computed.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu_time(self.child.id())
    }

    /// Memory that it holds, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a resident size")?;
        Ok(line.trim_end_matches("kB").trim().parse()?)
    }

    /// Cores that it used on average from now until `done`, and at most over a quarter of a second.
    pub(crate) async fn usage(&self, done: impl Future<Output = Result<()>>) -> Result<Usage> {
        let began = (Instant::now(), self.cpu()?);
        let mut last = began;
        let mut most = 0.0_f64;
        tokio::pin!(done);
        let ended = loop {
            tokio::select! {
                ended = &mut done => break ended,
                () = sleep(PEAK_WINDOW) => {
                    let now = (Instant::now(), self.cpu()?);
                    most = most.max(cores(last, now));
                    last = now;
                }
            }
        };
        ended?;
        let now = (Instant::now(), self.cpu()?);
        Ok(Usage { took: now.0 - began.0, mean: cores(began, now), most: most.max(cores(last, now)) })
    }

    /// What it prints until it ends.
    pub(crate) fn output(&mut self) -> Result<String> {
        let mut text = String::new();
        let mut output = self.child.stdout.take().context("its output is read once")?;
        std::io::Read::read_to_string(&mut output, &mut text)?;
        if !self.child.wait()?.success() {
            bail!("it failed and said:\n{}", std::fs::read_to_string(&self.log)?);
        }
        Ok(text)
    }

    fn check(&mut self) -> Result<()> {
        if !is_alive(self.child.id()) {
            bail!("the coordinator has ended; it said:\n{}", std::fs::read_to_string(&self.log)?);
        }
        Ok(())
    }
}

/// Cores used in a while.
pub(crate) struct Usage {
    pub(crate) took: Duration,
    pub(crate) mean: f64,
    pub(crate) most: f64,
}

fn cores(from: (Instant, Duration), to: (Instant, Duration)) -> f64 {
    (to.1 - from.1).as_secs_f64() / (to.0 - from.0).as_secs_f64().max(f64::MIN_POSITIVE)
}
