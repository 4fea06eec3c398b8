//! Which cluster a command talks to: the one named, or the one of the data directory.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueHint;
use helixflow_client::{Client, ClientOptions};
use helixflow_env::Env;
use tokio::runtime::Runtime;

use crate::cluster_file::ClusterFile;
use crate::data_dir::{self, DataDir};

/// Options of every command that calls a cluster.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Target {
    /// Coordinators to call, separated by commas; any of them will do [default: those of --data-dir]
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = host_and_port)]
    endpoint: Vec<String>,
    /// Where the local cluster keeps its data
    #[arg(long, value_name = "DIR", env = "HELIXFLOW_DATA_DIR", value_hint = ValueHint::DirPath, default_value_os_t = data_dir::default_path())]
    data_dir: PathBuf,
    /// Give up after this many seconds [default: wait for as long as the answer goes on]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: Option<u64>,
}

/// A cluster that a command calls, and the runtime that it waits on.
#[derive(Debug)]
pub(crate) struct Session {
    /// Calls the cluster; only inside [`Session::wait`].
    pub(crate) client: Client,
    runtime: Runtime,
}

impl Target {
    /// How long to wait for an answer at most, where it was said.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout.map(Duration::from_secs)
    }

    /// Knows the coordinators; connects with the first call.
    pub(crate) fn open(&self) -> anyhow::Result<Session> {
        let env = Env::real();
        let endpoints = if self.endpoint.is_empty() {
            ClusterFile::read(env.disk.as_ref(), &DataDir::new(&self.data_dir)?)?.coordinators()
        } else {
            self.endpoint.clone()
        };
        let options = ClientOptions { timeout: self.timeout() };
        let runtime = runtime()?;
        let client = {
            // Its connections are tasks of the runtime.
            let _inside = runtime.enter();
            Client::new(&env, &endpoints, options)?
        };
        Ok(Session { client, runtime })
    }
}

impl Session {
    /// Waits for some work to be done.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

/// The runtime of a command: one thread is plenty to wait on.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the asynchronous runtime")
}

/// Takes what names a host and a port.
pub(crate) fn host_and_port(given: &str) -> anyhow::Result<String> {
    match given.rsplit_once(':') {
        Some((host, port))
            if !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            Ok(given.to_owned())
        }
        _ => bail!("give host and port, for instance 127.0.0.1:20001"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        for good in ["127.0.0.1:20001", "localhost:1", "[::1]:20001"] {
            assert_eq!(host_and_port(good).expect(good), good);
        }
        for bad in ["", "localhost", ":20001", "localhost:0", "localhost:66000", "http://localhost:1"] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }
}
