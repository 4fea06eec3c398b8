//! Three members of one side: their processes, their ports, and which of them leads.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use helixflow_env::Env;
use helixflow_env::net::{Connector, draw_ports};
use helixflow_tests::cluster::is_alive;
use helixflow_tests::usage::cpu_time;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};

use crate::{etcd, helixflow};

/// How many members a side has.
pub(crate) const MEMBERS: usize = 3;
/// How long a group may take to form, and to elect.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often something is looked at.
const POLL: Duration = Duration::from_millis(50);
/// A side is idle when its processes compute less than `IDLE_CPU` in this time.
const IDLE_WINDOW: Duration = Duration::from_millis(500);
/// A tenth of a core; both sides need less between requests.
const IDLE_CPU: Duration = Duration::from_millis(50);

/// Whose members they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Ours.
    Helixflow,
    /// Theirs.
    Etcd,
}

/// Running members; they end with it.
pub(crate) struct Cluster {
    pub(crate) side: Side,
    members: Vec<Member>,
    env: Env,
    folder: TempDir,
}

/// One process.
struct Member {
    grpc: String,
    child: Child,
}

impl Drop for Member {
    fn drop(&mut self) {
        // What has ended by itself needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The ports of a member to start.
pub(crate) struct Ports {
    /// From 1.
    pub(crate) id: usize,
    /// For clients.
    pub(crate) grpc: String,
    /// For the other members.
    pub(crate) raft: String,
    /// For metrics.
    pub(crate) http: String,
}

impl Cluster {
    /// Three coordinators with their defaults.
    pub(crate) async fn helixflow(program: &Path, work: &Path) -> Result<Self> {
        let (env, folder, ports) = prepare(work).await?;
        let commands = ports.iter().map(|p| helixflow::command(program, folder.path(), p));
        let commands = commands.collect::<Result<Vec<_>>>()?;
        let cluster = Self::start(Side::Helixflow, env, folder, &ports, commands)?;
        let members = helixflow::members(&ports);
        cluster
            .until("a bootstrap", async || helixflow::bootstrap(cluster.connect(0).await?, &members).await)
            .await?;
        cluster.leader().await?;
        Ok(cluster)
    }

    /// Three members of etcd with its defaults.
    pub(crate) async fn etcd(program: &Path, work: &Path) -> Result<Self> {
        let (env, folder, ports) = prepare(work).await?;
        let commands = ports.iter().map(|p| etcd::command(program, folder.path(), p, &ports)).collect();
        let cluster = Self::start(Side::Etcd, env, folder, &ports, commands)?;
        cluster.leader().await?;
        Ok(cluster)
    }

    fn start(side: Side, env: Env, folder: TempDir, ports: &[Ports], commands: Vec<Command>) -> Result<Self> {
        let mut members = Vec::new();
        for (ports, command) in ports.iter().zip(commands) {
            let log = std::fs::File::create(log(folder.path(), ports.id))?;
            members.push(Member { grpc: ports.grpc.clone(), child: spawn(&command, log)? });
        }
        Ok(Self { side, members, env, folder })
    }

    /// A connection of its own to a member.
    pub(crate) async fn connect(&self, member: usize) -> Result<Grpc<Channel>> {
        let address = &self.members.get(member % MEMBERS).context("three members")?.grpc;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let channel = endpoint.connect_with_connector(Connector(self.env.network.clone())).await?;
        Ok(Grpc::new(channel))
    }

    /// The member that leads by its own word.
    pub(crate) async fn leader(&self) -> Result<usize> {
        self.until("a leader", async || {
            for member in 0..MEMBERS {
                let grpc = self.connect(member).await?;
                let leads = match self.side {
                    Side::Helixflow => helixflow::leads(grpc).await?,
                    Side::Etcd => etcd::leads(grpc).await?,
                };
                if leads {
                    return Ok(member);
                }
            }
            bail!("no member says that it leads")
        })
        .await
    }

    /// Their process ids.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.members.iter().map(|member| member.child.id()).collect()
    }

    /// Waits until nothing of the last work is left to do.
    pub(crate) async fn idle(&self) -> Result<()> {
        let used = || self.pids().into_iter().map(cpu_time).sum::<Result<Duration>>();
        self.until("an idle side", async || {
            let before = used()?;
            sleep(IDLE_WINDOW).await;
            let busy = used()?.saturating_sub(before);
            if busy > IDLE_CPU { bail!("{busy:?} of computing in {IDLE_WINDOW:?}") } else { Ok(()) }
        })
        .await
    }

    async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) if began.elapsed() > PATIENCE => {
                    return Err(error.context(format!("waited {PATIENCE:?} for {what} of {:?}", self.side)));
                }
                Err(_) => sleep(POLL).await,
            }
            if let Some(ended) = self.members.iter().position(|member| !is_alive(member.child.id())) {
                let said = std::fs::read_to_string(log(self.folder.path(), ended + 1))?;
                bail!("member {} of {:?} has ended; it said:\n{said}", ended + 1, self.side);
            }
        }
    }
}

/// Where what a member says is kept.
fn log(folder: &Path, id: usize) -> PathBuf {
    folder.join(format!("{id}.log"))
}

async fn prepare(work: &Path) -> Result<(Env, TempDir, Vec<Ports>)> {
    let env = Env::real();
    let mut ports = Vec::new();
    for id in 1..=MEMBERS {
        let mut drawn = draw_ports(&env, 3).await?.into_iter();
        let mut next = || Ok::<_, anyhow::Error>(drawn.next().context("three ports")?.to_string());
        let (grpc, raft, http) = (next()?, next()?, next()?);
        ports.push(Ports { id, grpc, raft, http });
    }
    Ok((env, tempfile::tempdir_in(work)?, ports))
}

/// Starts a process that ends with this one, however this one ends.
fn spawn(command: &Command, log: std::fs::File) -> Result<Child> {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
    bound.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    bound.spawn().with_context(|| format!("starting {:?} through setpriv", command.get_program()))
}
