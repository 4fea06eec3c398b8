//! Which cluster a command talks to: the one named, or the one of the data directory.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use helixflow_client::{Client, ClientOptions};
use helixflow_env::Env;
use tokio::runtime::Runtime;

use crate::data_dir::{self, ClusterFile};

/// Options of every command that calls a cluster.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Target {
    /// A coordinator as host:port; give several for more than one [default: the cluster of --data-dir]
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    endpoint: Vec<String>,
    /// Where the local cluster keeps its data
    #[arg(long, value_name = "DIR", env = "HELIXFLOW_DATA_DIR", default_value_os_t = data_dir::default_path())]
    data_dir: PathBuf,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: Option<u64>,
}

impl Target {
    /// A client of the cluster.
    pub(crate) fn client(&self, env: &Env) -> anyhow::Result<Client> {
        let endpoints = if self.endpoint.is_empty() {
            ClusterFile::read(env.disk.as_ref(), &self.data_dir)?.coordinators()
        } else {
            self.endpoint.clone()
        };
        let options = ClientOptions { timeout: self.timeout.map(Duration::from_secs) };
        Ok(Client::new(env, &endpoints, options)?)
    }
}

/// The runtime of a command: one thread is plenty to wait on.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the asynchronous runtime")
}
