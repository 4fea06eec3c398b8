//! Why an experiment could not be carried out. A promise that does not hold is no error: it stands in the report.

use std::io;
use std::path::PathBuf;

use helixflow_client::ClientError;

/// An experiment that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// No cluster runs in the data directory.
    #[error("no local cluster at {path}: start one with `helixflow up --data-dir {path}`", path = .path.display())]
    NoCluster {
        /// The data directory.
        path: PathBuf,
        /// Why its record was not read.
        source: io::Error,
    },
    /// The cluster's record makes no sense.
    #[error("{path} is damaged: stop the cluster and start it again", path = .path.display())]
    Damaged {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A process of the record answers on an address of another machine, or may.
    #[error(
        "{id} answers at {address}, which is not this machine: experiments run against local clusters only"
    )]
    NotLocal {
        /// Which process.
        id: String,
        /// Its address.
        address: String,
    },
    /// The process with the recorded id is another one.
    #[error("process {pid} is not {id} of {cluster}: wait until the cluster is ready, or start it again", cluster = .cluster.display())]
    NotThatProcess {
        /// Whom the record names.
        id: String,
        /// The process id that it gives.
        pid: u32,
        /// The data directory.
        cluster: PathBuf,
    },
    /// A process of ours cannot be killed.
    #[error("{id} (process {pid}) cannot be killed: run the experiment as the user who started the cluster")]
    Kill {
        /// Which process.
        id: String,
        /// Its process id.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The cluster is not whole, so that an experiment would show nothing.
    #[error("the cluster is not whole: {what}; wait until `helixflow status` shows every replica ready")]
    NotReady {
        /// What is missing.
        what: String,
    },
    /// A prompt could not be answered before any fault.
    #[error("a prompt got no answer before any fault: {what}; look at `helixflow status`")]
    NoReference {
        /// How the request ended.
        what: String,
    },
    /// The cluster does not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
}
