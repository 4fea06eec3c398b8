//! The cluster under experiment: its record in the data directory, and what its coordinators say of it.
//!
//! It reads `cluster.json` in the form that all scripts rely on, and shares no code with the program that writes it.

mod snapshot;

use std::path::{Path, PathBuf};
use std::time::Duration;

use helixflow_client::{Client, ClientError, ClientOptions};
use helixflow_env::Env;
use serde::{Deserialize, Serialize};

use crate::error::ChaosError;
use crate::faults;

pub use snapshot::{NodeSeen, Snapshot};

/// How long a coordinator may take to say how the cluster is: one that is starting is asked again.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// A cluster on this machine.
#[derive(Clone, Debug)]
pub struct LocalCluster {
    env: Env,
    data_dir: PathBuf,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Raft, placement and the gateway.
    Coordinator,
    /// Runs models.
    Node,
}

/// A process, as the record has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Process {
    /// Its id, for instance `node-1`.
    pub id: String,
    /// What it does.
    pub role: Role,
    /// Its process id; 0 between its death and its next start.
    pub pid: u32,
    /// `host:port` for gRPC.
    pub grpc: String,
}

#[derive(Deserialize)]
struct Record {
    processes: Vec<Process>,
}

impl LocalCluster {
    /// The cluster that runs in this data directory; each of its processes is checked to be its own and on this machine.
    ///
    /// # Errors
    /// When none runs there, or the record names something else.
    pub fn open(env: &Env, data_dir: &Path) -> Result<Self, ChaosError> {
        let cluster = Self { env: env.clone(), data_dir: data_dir.to_owned() };
        for process in cluster.processes()? {
            if !is_loopback(&process.grpc) {
                return Err(ChaosError::NotLocal { id: process.id, address: process.grpc });
            }
            faults::identify(&cluster, &process)?;
        }
        Ok(cluster)
    }

    /// The world that it is in.
    #[must_use]
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its processes, as the record has them now.
    ///
    /// # Errors
    /// When there is no record, or it is damaged.
    pub fn processes(&self) -> Result<Vec<Process>, ChaosError> {
        let path = self.data_dir.join("cluster.json");
        let bytes = self.env.disk.read(&path);
        let bytes = bytes.map_err(|source| ChaosError::NoCluster { path: self.data_dir.clone(), source })?;
        let record: Record =
            serde_json::from_slice(&bytes).map_err(|source| ChaosError::Damaged { path, source })?;
        Ok(record.processes)
    }

    /// Where its coordinators answer clients.
    ///
    /// # Errors
    /// When there is no record, or it is damaged.
    pub fn endpoints(&self) -> Result<Vec<String>, ChaosError> {
        let processes = self.processes()?.into_iter();
        Ok(processes
            .filter(|process| process.role == Role::Coordinator)
            .map(|process| process.grpc)
            .collect())
    }

    /// What the coordinator at this address says of the cluster.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ask(&self, endpoint: &str) -> Result<Snapshot, ClientError> {
        let options = ClientOptions { timeout: Some(STATUS_TIMEOUT) };
        let client = Client::new(&self.env, &[endpoint.to_owned()], options)?;
        Ok(client.status().await?.into())
    }
}

/// Whether an address cannot be of another machine.
fn is_loopback(address: &str) -> bool {
    address.parse().is_ok_and(|address: std::net::SocketAddr| address.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(record: &str) -> LocalCluster {
        let env = Env::simulated(1);
        env.disk.create_dir_all(Path::new("/c")).expect("a folder");
        env.disk.write_durably(Path::new("/c/cluster.json"), record.as_bytes()).expect("a write");
        LocalCluster { env, data_dir: PathBuf::from("/c") }
    }

    #[test]
    fn a_record_is_read_in_its_published_form() {
        let cluster = cluster(
            r#"{"cluster": "00ff", "processes": [
                {"id": "coordinator-1", "role": "coordinator", "region": "a", "pid": 7, "grpc": "127.0.0.1:1", "http": null},
                {"id": "node-1", "role": "node", "region": "a", "pid": 8, "grpc": "127.0.0.1:2", "http": null}]}"#,
        );
        assert_eq!(cluster.endpoints().expect("a record"), ["127.0.0.1:1"]);
        assert_eq!(cluster.processes().expect("a record").len(), 2);
    }

    #[test]
    fn a_cluster_of_another_machine_is_refused() {
        let record = r#"{"processes": [{"id": "node-1", "role": "node", "pid": 8, "grpc": "10.0.0.1:2"}]}"#;
        let LocalCluster { env, data_dir } = cluster(record);
        assert!(matches!(LocalCluster::open(&env, &data_dir), Err(ChaosError::NotLocal { .. })));
    }

    #[test]
    fn a_directory_without_a_cluster_is_refused_with_what_to_do() {
        let refused = LocalCluster::open(&Env::simulated(1), Path::new("/none")).map(|_| ());
        assert!(refused.is_err_and(|error| error.to_string().contains("helixflow up")));
    }
}
