//! Raft: the cluster's only database. openraft stays in this folder.
//!
//! `log` is the durable log, `machine` applies it to the pure `ClusterState`, `network` and `server` are the two
//! ends of the Raft port, `record` and `codec` what is stored and sent. The rest of the coordinator sees [`Handle`].

mod bootstrap;
mod codec;
mod group;
mod handle;
mod log;
mod machine;
mod network;
mod propose;
mod read;
mod record;
mod runtime;
mod server;
mod settings;
mod snapshot;
mod standing;
mod types;

use std::path::PathBuf;
use std::sync::Arc;

use helixflow_env::Env;
use helixflow_model::CoordinatorId;
use helixflow_proto::hello::Hello;
use helixflow_proto::v1::raft_service_server::RaftServiceServer;
use openraft::AsyncRuntime;
use tokio::runtime::Handle as Runtime;
use tonic::service::Routes;

use self::group::Group;
use self::log::{LogStorage, Place, SEGMENT_BYTES, SegmentedLog};
use self::machine::Machine;
use self::network::{MAX_FRAME_BYTES, Network, Peers, Receiver};
use self::server::Server;
use self::snapshot::Snapshots;
use crate::config::Timings;

pub use bootstrap::BootstrapError;
pub use handle::{Handle, WRITE_DEADLINE};
pub use log::OpenLogError;
pub use propose::{Applied, ProposeError};
pub use read::{Consistency, READ_DEADLINE, ReadError, Reading};
pub(crate) use runtime::RestingRuntime;
pub use snapshot::SnapshotError;
pub use standing::{Role, Standing};
pub use types::DiskId;

/// What Raft needs to start.
pub(crate) struct Setup {
    /// This coordinator.
    pub(crate) id: CoordinatorId,
    /// Who we say we are.
    pub(crate) hello: Hello,
    /// Heartbeats and elections.
    pub(crate) timings: Timings,
    /// Where the log and the snapshot lie.
    pub(crate) data_dir: PathBuf,
    /// The world outside.
    pub(crate) env: Env,
    /// Where the log's writer and the snapshots may block.
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
pub(crate) async fn start<R: AsyncRuntime>(setup: Setup) -> Result<(Handle, Routes), StartError> {
    let (group, handle) = start_group::<R>(setup).await?;
    let service = RaftServiceServer::new(Server::new(group))
        .max_decoding_message_size(MAX_FRAME_BYTES)
        .max_encoding_message_size(MAX_FRAME_BYTES);
    Ok((handle, Routes::new(service)))
}

/// Opens log and snapshot, and starts openraft over them.
async fn start_group<R: AsyncRuntime>(setup: Setup) -> Result<(Arc<Group<R>>, Handle), StartError> {
    let Setup { id, hello, timings, data_dir, env, disk } = setup;
    let config = settings::settings(hello.cluster.as_str(), &timings).map_err(StartError::Timings)?;
    let earlier = data_dir.join("raft.redb");
    if env.disk.exists(&earlier) {
        return Err(StartError::Earlier { path: earlier });
    }
    let place = Place {
        disk: Arc::clone(&env.disk),
        random: Arc::clone(&env.random),
        folder: data_dir.join("log"),
        owner: format!("{} of cluster {}", id, hello.cluster),
        segment_bytes: SEGMENT_BYTES,
    };
    let store = SegmentedLog::open(place, disk.clone()).await?;
    let us = Receiver { id, disk: store.disk() };
    let (storage, written) =
        LogStorage::<R>::start(store, &disk).map_err(|error| StartError::Load(Box::new(error)))?;
    let snapshots = Snapshots::open(env.disk, data_dir.join("snapshot"), disk)?;
    let machine = Machine::new(snapshots);
    let state = machine.watch();
    let peers = Arc::new(Peers::new(id, hello, env.network));
    let network = Network::new(Arc::clone(&peers));
    let raft = openraft::Raft::new(id, Arc::new(config), network, storage, machine)
        .await
        .map_err(|fatal| StartError::Refused(fatal.to_string()))?;
    let group = Arc::new(Group::<R>::new(us, raft, peers));
    let handle = Handle::new(Arc::clone(&group), state, written);
    Ok((group, handle))
}

#[cfg(test)]
mod tests;
