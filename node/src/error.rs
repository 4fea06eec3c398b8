//! Why a node cannot start, or could not go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::device::{JournalError, StillSet};
use crate::identity::IdentityError;

/// Why a node ended without being told to.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its identity cannot be read or kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Another process uses the data folder.
    #[error("{path} is in use by another process; end that one, or give this node another data_dir")]
    InUse {
        /// The data folder.
        path: PathBuf,
    },
    /// The data folder cannot be locked.
    #[error("cannot lock {path}; check the folder's permissions")]
    Lock {
        /// The data folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A port cannot be had.
    #[error("cannot listen on {address} ({key}.listen); free the port, or give another one")]
    Port {
        /// `grpc` or `http`.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// What was set on the GPUs is not known.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What was set on a GPU could not be undone.
    #[error(transparent)]
    StillSet(#[from] StillSet),
    /// The actors did not start.
    #[error(transparent)]
    Start(#[from] helixflow_actors::StartError),
    /// The actors ended.
    #[error("the node's actors have ended; the log says why")]
    Actors,
    /// A server ended.
    #[error("the {key} server has failed")]
    Server {
        /// `grpc` or `http`.
        key: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
