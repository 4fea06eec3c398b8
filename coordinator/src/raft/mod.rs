//! Raft: the cluster's only database. openraft stays in this folder.
//!
//! `log` is the durable log, `machine` applies it to the pure `ClusterState`, `network` and `server` are the two
//! ends of the Raft port, `record` and `codec` what is stored and sent. The rest of the coordinator sees [`Handle`].

mod ask_leader;
mod backup;
mod batches;
mod bootstrap;
mod change;
mod codec;
mod describe;
mod forward;
mod group;
mod group_commit;
mod handle;
mod log;
mod machine;
mod network;
mod new_life;
mod platform;
mod propose;
mod read;
mod record;
mod room;
mod runtime;
mod server;
mod settings;
mod snapshot;
mod standing;
mod to_leader;
mod types;
mod vacancy;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use helixflow_env::{Env, WallClock};
use helixflow_model::{ClusterId, CoordinatorId};
use helixflow_policy::state::{ClusterState, Coordinator};
use helixflow_proto::hello::Hello;
use helixflow_proto::v1::raft_service_server::RaftServiceServer;
use openraft::storage::RaftLogStorage;
use tokio::runtime::Handle as Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::service::Routes;

use self::group::Group;
use self::log::{FirstKept, LogStorage, LogStore, Place, SegmentedLog};
use self::machine::Machine;
use self::network::{MAX_FRAME_BYTES, Network, Peers, Receiver};
use self::platform::Platform;
use self::room::Room;
use self::server::Server;
use self::settings::settings;
use self::snapshot::Snapshots;
use self::types::TypeConfig;
use self::vacancy::fill_vacancies;
use crate::config::Timings;

pub use ask_leader::{CHANGE_DEADLINE, ChangeError};
pub use backup::{Backup, BackupError};
pub use bootstrap::BootstrapError;
pub use change::{Change, ChangeRefusal, MemberView, Survey};
pub use describe::Described;
pub use handle::{Ended, Handle, WRITE_DEADLINE};
pub use log::OpenLogError;
pub(crate) use new_life::Seat;
pub use new_life::{NewLife, NewLifeError, Survivor};
pub use propose::{Applied, ProposeError};
pub use read::{Consistency, READ_DEADLINE, ReadError, Reading};
pub use record::UnreadableEntry;
pub(crate) use runtime::RestingRuntime;
pub(crate) use settings::Sizes;
pub use snapshot::SnapshotError;
pub use standing::{Role, Standing};
pub use types::DiskId;

/// What Raft needs to start.
pub(crate) struct Setup {
    /// This coordinator.
    pub(crate) id: CoordinatorId,
    /// Where it stands and how it is reached.
    pub(crate) about: Coordinator,
    /// Who we say we are.
    pub(crate) hello: Hello,
    /// Heartbeats and elections.
    pub(crate) timings: Timings,
    /// How large the log may grow.
    pub(crate) sizes: Sizes,
    /// Where the log and the snapshot lie.
    pub(crate) data_dir: PathBuf,
    /// The world outside.
    pub(crate) env: Env,
    /// Where the log's writer may block: on one thread, for others would be woken with it.
    pub(crate) log: Runtime,
    /// Where what takes long on the disk may block: the log's next segment, snapshots.
    pub(crate) disk: Runtime,
}

/// Why Raft does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenLogError),
    /// The log was written before it had segments.
    #[error("{path} is the log of an earlier build, which this one does not read: give an empty data_dir")]
    Earlier {
        /// The file.
        path: PathBuf,
    },
    /// The log can be opened, but not read.
    #[error(
        "the Raft log cannot be loaded: restore data_dir from a backup, or remove this coordinator and add it anew under another id"
    )]
    Load(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A restore or a recovery did not come to its end.
    #[error(
        "a restore or recovery of {path} was interrupted: give the same command again, it goes on from there"
    )]
    HalfMade {
        /// The data directory.
        path: PathBuf,
    },
    /// The snapshot cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The timings do not fit together.
    #[error("the timings of [raft] do not fit together")]
    Timings(#[source] openraft::ConfigError),
    /// openraft refuses what the log and the snapshot hold.
    #[error(
        "Raft refuses the log in data_dir: {0}; restore data_dir from a backup, or remove this coordinator and add it anew under another id"
    )]
    Refused(String),
}

/// Starts Raft on the current runtime, and gives the service for its port.
pub(crate) async fn start<R: Platform<Machine = Machine>>(
    setup: Setup,
) -> Result<(Handle, Routes), StartError> {
    let (group, handle) = start_group::<R>(setup).await?;
    let service = RaftServiceServer::new(Server::new(group))
        .max_decoding_message_size(MAX_FRAME_BYTES)
        .max_encoding_message_size(MAX_FRAME_BYTES);
    Ok((handle, Routes::new(service)))
}

/// Opens log and snapshot, and starts openraft over them.
async fn start_group<R: Platform<Machine = Machine>>(
    setup: Setup,
) -> Result<(Arc<Group<R>>, Handle), StartError> {
    let Opened { local, store, machine } = Opened::open(setup).await?;
    let log = local.log::<R>(store)?;
    let state = machine.watch();
    local.start(log, machine, state).await
}

/// Log and snapshot, read from the disk.
struct Opened {
    local: Local,
    store: SegmentedLog,
    machine: Machine,
}

impl Opened {
    async fn open(setup: Setup) -> Result<Self, StartError> {
        let Setup { id, about, hello, timings, sizes, data_dir, env, log, disk } = setup;
        let config = settings(hello.cluster.as_str(), &timings, sizes).map_err(StartError::Timings)?;
        let earlier = data_dir.join("raft.redb");
        if env.disk.exists(&earlier) {
            return Err(StartError::Earlier { path: earlier });
        }
        if env.disk.exists(&data_dir.join(new_life::MARKER)) {
            return Err(StartError::HalfMade { path: data_dir });
        }
        let place = place(&env, &data_dir, id, &hello.cluster, sizes);
        let store = SegmentedLog::open(place, disk.clone()).await?;
        let snapshots = Snapshots::open(env.disk, data_dir.join("snapshot"), disk.clone())?;
        let room = snapshots.room().clone();
        let machine = Machine::new(snapshots);
        let us = Receiver { id, disk: store.disk() };
        let peers = Arc::new(Peers::new(id, hello, env.network));
        Ok(Self {
            local: Local { us, about, config: Arc::new(config), peers, clock: env.wall_clock, room, log },
            store,
            machine,
        })
    }
}

/// Where a coordinator's log lies in its data directory.
fn place(env: &Env, data_dir: &Path, id: CoordinatorId, cluster: &ClusterId, sizes: Sizes) -> Place {
    Place {
        disk: Arc::clone(&env.disk),
        random: Arc::clone(&env.random),
        folder: data_dir.join("log"),
        owner: format!("{id} of cluster {cluster}"),
        segment_bytes: sizes.segment_bytes,
    }
}

/// What this coordinator brings into the group.
struct Local {
    us: Receiver,
    about: Coordinator,
    config: Arc<openraft::Config>,
    peers: Arc<Peers>,
    clock: Arc<dyn WallClock>,
    room: Room,
    log: Runtime,
}

/// The log as openraft sees it.
struct Log<S> {
    storage: S,
    first_kept: FirstKept,
    /// The task that writes it.
    written: JoinHandle<()>,
}

impl Local {
    fn log<R: Platform>(&self, store: impl LogStore) -> Result<Log<LogStorage<R>>, StartError> {
        let started = LogStorage::start(store, &self.log);
        let (storage, written) = started.map_err(|error| StartError::Load(Box::new(error)))?;
        Ok(Log { first_kept: storage.first_kept(), storage, written })
    }

    /// Starts openraft over these parts; `state` is what the machine has applied.
    async fn start<R: Platform>(
        self,
        Log { storage, first_kept, written }: Log<impl RaftLogStorage<TypeConfig<R>>>,
        machine: R::Machine,
        state: watch::Receiver<Arc<ClusterState>>,
    ) -> Result<(Arc<Group<R>>, Handle), StartError> {
        let network = Network::new(Arc::clone(&self.peers), first_kept);
        let raft = openraft::Raft::new(self.us.id, Arc::clone(&self.config), network, storage, machine)
            .await
            .map_err(|fatal| StartError::Refused(fatal.to_string()))?;
        Runtime::current().spawn(Group::<R>::follow_addresses(raft.clone(), Arc::clone(&self.peers)));
        let (stream_ended, ended) = watch::channel(());
        let watching = fill_vacancies(self.us.id, raft.clone(), Arc::clone(&self.peers), ended);
        Runtime::current().spawn(watching);
        let group = Arc::new(Group::<R>::new(self, raft, state.clone(), stream_ended));
        let handle = Handle::new(Arc::clone(&group), state, written);
        Ok((group, handle))
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
