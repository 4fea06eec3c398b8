//! Why a coordinator does not start, or ends.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use helixflow_model::{CoordinatorId, Incarnation};

use crate::config::ConfigError;
use crate::raft::{Ended, NewLifeError, StartError, UnreadableEntry};

/// Why a coordinator does not start, or ends by itself.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory cannot be made.
    #[error("data_dir {path} cannot be made: check its parent and the permissions")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Another process has the data directory.
    #[error(
        "data_dir {path} is in use by another process: stop that one, or give this one a folder of its own"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A port cannot be opened.
    #[error(
        "{key} {address} cannot be opened: another process may have it; stop that one, or give another port"
    )]
    Bind {
        /// The configuration's key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A runtime's threads cannot be started.
    #[error("the threads of {name} cannot be started: raise the limit of processes")]
    Threads {
        /// Whose.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Raft does not start.
    #[error(transparent)]
    Raft(#[from] StartError),
    /// Raft has ended by itself: nothing may be written any more.
    #[error("Raft has ended: {reason}; check the disk of data_dir, then start this coordinator again")]
    RaftEnded {
        /// Why.
        reason: String,
    },
    /// It is no member any more.
    #[error(
        "{id} was removed from the cluster, says {by}: this process ends. To make it a member again, give it a new id and an empty data_dir, start it, and run helixflow coordinator add"
    )]
    Removed {
        /// Who.
        id: CoordinatorId,
        /// Who says so.
        by: CoordinatorId,
    },
    /// The cluster has begun a new life without it.
    #[error(
        "the cluster was restored or recovered as {theirs}, says {by}, while {id} still holds {ours}: this process ends. Give it a new id and an empty data_dir, start it, and run helixflow coordinator add"
    )]
    Overtaken {
        /// Who.
        id: CoordinatorId,
        /// Who says so.
        by: CoordinatorId,
        /// The life that it holds.
        ours: Incarnation,
        /// The life that there is.
        theirs: Incarnation,
    },
    /// The log holds what this build cannot read.
    #[error(transparent)]
    Unreadable(Arc<UnreadableEntry>),
    /// No new life of the cluster was begun.
    #[error(transparent)]
    NewLife(#[from] NewLifeError),
    /// A server has ended by itself.
    #[error("the {name} server has ended: see the log, then start this coordinator again")]
    Server {
        /// Which.
        name: &'static str,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl CoordinatorError {
    /// Whether the cluster goes on without this coordinator: to start it again is in vain.
    pub const fn is_no_member(&self) -> bool {
        matches!(self, Self::Removed { .. } | Self::Overtaken { .. })
    }
}

impl From<Ended> for CoordinatorError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Unreadable(entry) => Self::Unreadable(entry),
            Ended::Core(reason) => Self::RaftEnded { reason },
        }
    }
}
