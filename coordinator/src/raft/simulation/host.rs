//! One coordinator in a simulation: its disk survives, its process is started anew after each crash.
//!
//! Everything is the product's own but runtime, network, disk and clocks: Raft and its port, the log, the service that
//! clients call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use helixflow_env::disk::MemoryDisk;
use helixflow_env::{Disk, Env, Network, Randomness, SeededRandom, WallClock};
use helixflow_model::{ClusterId, CoordinatorId, FeatureLevel, Region, RequestId};
use helixflow_policy::state::{ClusterState, Coordinator, FEATURE_LEVEL};
use helixflow_proto::context::{ContextLayer, Trust};
use helixflow_proto::hello::{Hello, HelloLayer};
use helixflow_proto::v1::cluster_service_server::ClusterServiceServer;
use helixflow_proto::v1::raft_service_server::RaftServiceServer;
use parking_lot::Mutex;
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server as Port;

use super::events::Events;
use super::network::{Machines, SimulatedNetwork};
use super::planted::{Bug, PlantedMachine, PlantedStorage, PlantedStore, UnsyncedDisk};
use super::runtime::{SimulatedRuntime, set_clock};
use crate::config::Timings;
use crate::neighbours::Neighbours;
use crate::raft::server::Server;
use crate::raft::{Handle, Log, Opened, Role, Setup, Sizes, Standing};
use crate::{cluster, telemetry::Telemetry};

/// The port of clients, on every host.
pub(super) const CLIENTS: u16 = 7100;
/// The port of the other coordinators.
pub(super) const PEERS: u16 = 7200;
/// Between two looks at a coordinator.
const OBSERVED_EVERY: Duration = Duration::from_millis(10);
/// A log that is cut and copied within the seconds of a simulation.
const SIZES: Sizes = Sizes { segment_bytes: 16 << 10, snapshot_every: 60, keep_behind_snapshot: 15 };

/// A coordinator's place in the simulation.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) id: u64,
    pub(super) disk: MemoryDisk,
    pub(super) bug: Option<Bug>,
    pub(super) events: Events,
    /// Its first process is of an older build, which knows no newer commands.
    pub(super) is_old: bool,
    /// How fast its clock runs, and how wrong its calendar is.
    pub(super) clock_rate: f64,
    pub(super) calendar_ms: i64,
    pub(super) seed: u64,
    pub(super) machines: Machines,
    boots: Arc<AtomicU64>,
    /// What its disk had refused when its process was started.
    refusals: Arc<AtomicU64>,
    /// Its process, while it runs.
    pub(super) process: Arc<Mutex<Process>>,
}

/// A process, as seen from outside.
#[derive(Clone, Default)]
pub(super) enum Process {
    #[default]
    Down,
    Up(Observed),
    /// It ended by itself.
    Ended(String),
}

/// What a running coordinator says of itself.
#[derive(Clone)]
pub(super) struct Observed {
    pub(super) role: Role,
    pub(super) term: u64,
    pub(super) state: Arc<ClusterState>,
}

impl Seat {
    pub(super) fn new(
        id: u64,
        seed: u64,
        is_old: bool,
        bug: Option<Bug>,
        shared: (Events, Machines),
    ) -> Self {
        let (events, machines) = shared;
        let random = SeededRandom::new(seed ^ (id << 48));
        // Far worse than real clocks: a tenth fast or slow, a calendar wrong by minutes.
        let clock_rate = 0.9 + 0.2 * (random.next_u64() % 1000) as f64 / 1000.0;
        let calendar_ms = i64::try_from(random.next_u64() % 400_000).unwrap_or_default() - 200_000;
        let (disk, boots, refusals, process) = Default::default();
        Self {
            id,
            disk,
            bug,
            events,
            is_old,
            clock_rate,
            calendar_ms,
            seed,
            machines,
            boots,
            refusals,
            process,
        }
    }

    pub(super) fn name(&self) -> String {
        name(self.id)
    }

    /// Whether its disk refused something since its process was started.
    pub(super) fn was_refused(&self) -> bool {
        self.disk.refusals() > self.refusals.load(Ordering::Relaxed)
    }

    /// Runs the process, until it ends by itself.
    pub(super) async fn run(self) -> turmoil::Result {
        let reason = match self.serve().await {
            Ok(ended) => ended,
            Err(refused) => format!("does not start: {}", chain(refused.as_ref())),
        };
        self.note(&reason);
        *self.process.lock() = Process::Ended(reason);
        // A process that ended is taken down from outside; until then it does nothing.
        std::future::pending().await
    }

    fn note(&self, what: &str) {
        self.events.push(turmoil::sim_elapsed().unwrap_or_default().as_millis(), self.name(), what);
    }

    /// What it says of itself.
    fn about(&self, level: FeatureLevel) -> Coordinator {
        let overstated = self.bug == Some(Bug::LevelOverstated);
        Coordinator {
            region: Region::new("eu-1").expect("a valid name"),
            grpc: format!("{}:{CLIENTS}", self.name()),
            raft: format!("{}:{PEERS}", self.name()),
            level: if overstated { FEATURE_LEVEL } else { level },
        }
    }

    /// Says again and again how it stands.
    async fn observe(&self, handle: &Handle) -> std::convert::Infallible {
        loop {
            let Standing { role, term, .. } = handle.standing();
            let state = Arc::clone(&handle.state().borrow());
            *self.process.lock() = Process::Up(Observed { role, term, state });
            tokio::time::sleep(OBSERVED_EVERY).await;
        }
    }

    fn env(&self, boot: u64) -> Env {
        let disk: Arc<dyn Disk> = match self.bug {
            Some(Bug::SyncLeftOut) => Arc::new(UnsyncedDisk(self.disk.clone())),
            _ => Arc::new(self.disk.clone()),
        };
        let network: Arc<dyn Network> =
            Arc::new(SimulatedNetwork { us: self.name(), machines: self.machines.clone() });
        let random = Arc::new(SeededRandom::new(self.seed ^ (self.id << 32) ^ (boot << 40)));
        let wall_clock = Arc::new(Calendar { rate: self.clock_rate, offset_ms: self.calendar_ms });
        Env { wall_clock, random, network, disk }
    }

    async fn serve(&self) -> Result<String, Box<dyn std::error::Error>> {
        set_clock(self.clock_rate);
        let boot = self.boots.fetch_add(1, Ordering::Relaxed);
        self.refusals.store(self.disk.refusals(), Ordering::Relaxed);
        let env = self.env(boot);
        let level = if self.is_old && boot == 0 { FeatureLevel(1) } else { FEATURE_LEVEL };
        let about = self.about(level);
        let hello = Hello::new(cluster_id());
        let setup = Setup {
            id: CoordinatorId(self.id),
            about: about.clone(),
            hello: hello.clone(),
            timings: timings(),
            sizes: SIZES,
            data_dir: "/data".into(),
            env: env.clone(),
            log: Runtime::current(),
            disk: Runtime::current(),
        };
        env.disk.create_dir_all("/data".as_ref())?;
        let Opened { local, store, machine } = Opened::open(setup).await?;
        let log = local.log::<SimulatedRuntime>(PlantedStore::new(store, self.bug))?;
        let Log { storage, first_kept, written } = log;
        let log = Log { storage: PlantedStorage::new(storage, self.bug), first_kept, written };
        let state = machine.watch();
        let machine = PlantedMachine::new(machine, self.bug, self.id, level);
        let (group, handle) = local.start::<SimulatedRuntime>(log, machine, state).await?;
        self.note(&format!("starts, boot {boot}"));
        let peers = Routes::new(RaftServiceServer::new(Server::new(group)));
        let clients = Routes::new(ClusterServiceServer::new(service(&handle, &env)));
        let (peers, clients) =
            (port(&env, PEERS, Trust::Members, peers), port(&env, CLIENTS, Trust::Clients, clients));
        let neighbours = Neighbours {
            raft: handle.clone(),
            about,
            timings: timings(),
            random: Arc::clone(&env.random),
            advice: watch::channel(None).0,
        };
        tokio::select! {
            ended = neighbours.watch() => Err(format!("it is a member no more: {ended:?}").into()),
            never = self.observe(&handle) => match never {},
            reason = handle.ended() => Ok(format!("ends: {reason:?}")),
            ended = peers => Err(format!("the port of peers ended: {ended:?}").into()),
            ended = clients => Err(format!("the port of clients ended: {ended:?}").into()),
        }
    }
}

fn service(handle: &Handle, env: &Env) -> cluster::Service {
    let reports = Telemetry::new().watch();
    cluster::Service::new(
        cluster_id(),
        handle.clone(),
        reports,
        watch::channel(None).1,
        Arc::clone(&env.wall_clock),
        CancellationToken::new(),
    )
}

async fn port(
    env: &Env,
    number: u16,
    trust: Trust,
    routes: Routes,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let listener = env.network.bind(([0, 0, 0, 0], number).into()).await?;
    let random = Arc::clone(&env.random);
    Port::builder()
        .layer(HelloLayer::new(Hello::new(cluster_id())))
        .layer(ContextLayer::new(trust, move || RequestId::drawn(random.next_u64())))
        .add_routes(routes)
        .serve_with_incoming(listener)
        .await?;
    Ok(())
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

pub(super) fn name(id: u64) -> String {
    format!("n{id}")
}

pub(super) fn cluster_id() -> ClusterId {
    ClusterId::new("alpha").expect("a valid name")
}

/// The product's own defaults.
pub(super) fn timings() -> Timings {
    Timings::default()
}

/// A calendar that is wrong, and drifts.
struct Calendar {
    rate: f64,
    offset_ms: i64,
}

impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calendar")
    }
}

impl WallClock for Calendar {
    fn now_unix_ms(&self) -> i64 {
        const BEGIN_UNIX_MS: i64 = 1_767_225_600_000;
        let elapsed: Duration = turmoil::sim_elapsed().unwrap_or_default().mul_f64(self.rate);
        BEGIN_UNIX_MS + self.offset_ms + i64::try_from(elapsed.as_millis()).unwrap_or_default()
    }
}
