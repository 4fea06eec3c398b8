//! The data directory of a local cluster, and the record of it that scripts read.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use helixflow_env::Disk;
use serde::{Deserialize, Serialize};

/// The record's name inside the data directory.
const CLUSTER_FILE: &str = "cluster.json";

/// Where a local cluster keeps everything, when the user names no place.
pub(crate) fn default_path() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    state.unwrap_or_else(|| PathBuf::from(".")).join("helixflow")
}

/// `cluster.json`: the processes of a local cluster, written by rename once all are ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterFile {
    /// The cluster's id.
    pub(crate) cluster: String,
    /// Its processes: coordinators, then nodes.
    pub(crate) processes: Vec<ProcessRecord>,
}

/// One process of a local cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessRecord {
    /// Its id, for instance `coordinator-1`.
    pub(crate) id: String,
    /// What it does.
    pub(crate) role: Role,
    /// Its region.
    pub(crate) region: String,
    /// Its process id.
    pub(crate) pid: u32,
    /// `host:port` for gRPC.
    pub(crate) grpc: String,
    /// `host:port` for metrics and health.
    pub(crate) http: Option<String>,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Raft, placement and the gateway.
    Coordinator,
    /// Runs models.
    Node,
}

impl ClusterFile {
    /// Reads the record of the cluster in this data directory.
    pub(crate) fn read(disk: &dyn Disk, data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join(CLUSTER_FILE);
        if !disk.exists(&path) {
            bail!("no local cluster at {}: start one with `helixflow up`, or name a coordinator with --endpoint host:port", data_dir.display());
        }
        let bytes = disk.read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged: stop the cluster and start it again", path.display()))
    }

    /// Replaces the record.
    pub(crate) fn write(&self, disk: &dyn Disk, data_dir: &Path) -> anyhow::Result<()> {
        let path = data_dir.join(CLUSTER_FILE);
        let text = serde_json::to_vec_pretty(self).context("encoding the cluster's record")?;
        disk.write_durably(&path, &text).with_context(|| format!("writing {}", path.display()))
    }

    /// Removes the record: nothing runs any more.
    pub(crate) fn remove(disk: &dyn Disk, data_dir: &Path) -> anyhow::Result<()> {
        let path = data_dir.join(CLUSTER_FILE);
        if disk.exists(&path) {
            disk.remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(())
    }

    /// Where its coordinators answer clients.
    pub(crate) fn coordinators(&self) -> Vec<String> {
        let coordinators = self.processes.iter().filter(|process| process.role == Role::Coordinator);
        coordinators.map(|process| process.grpc.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use helixflow_env::disk::MemoryDisk;

    use super::*;

    #[test]
    fn the_record_keeps_its_form() {
        let record = ClusterFile {
            cluster: "00ff".to_owned(),
            processes: vec![ProcessRecord {
                id: "coordinator-1".to_owned(),
                role: Role::Coordinator,
                region: "a".to_owned(),
                pid: 7,
                grpc: "127.0.0.1:20001".to_owned(),
                http: Some("127.0.0.1:20002".to_owned()),
            }],
        };
        let disk = MemoryDisk::default();
        record.write(&disk, Path::new("/")).expect("a write");
        assert_eq!(ClusterFile::read(&disk, Path::new("/")).expect("the record"), record);
        let json: serde_json::Value = serde_json::from_slice(&disk.read(Path::new("/cluster.json")).expect("a file")).expect("JSON");
        assert_eq!(json["processes"][0]["role"], "coordinator");
        assert_eq!(record.coordinators(), ["127.0.0.1:20001"]);
    }

    #[test]
    fn a_missing_record_says_how_to_start_a_cluster() {
        let error = ClusterFile::read(&MemoryDisk::default(), Path::new("/none")).map_err(|e| e.to_string());
        assert!(error.is_err_and(|text| text.contains("helixflow up")));
    }
}
