//! `cluster.json`: the record of a running local cluster, which scripts and the other commands read.

use anyhow::{Context, bail};
use helixflow_env::Disk;
use serde::{Deserialize, Serialize};

use crate::data_dir::DataDir;

/// The processes of a local cluster, written by rename once all are ready.
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

impl Role {
    /// The noun of its commands, for instance `helixflow node run`.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Node => "node",
        }
    }
}

impl ClusterFile {
    /// Reads the record of the cluster in this data directory.
    pub(crate) fn read(disk: &dyn Disk, dir: &DataDir) -> anyhow::Result<Self> {
        let path = dir.cluster_file();
        if !disk.exists(&path) {
            bail!(
                "no local cluster runs on {}: start one with `helixflow up`, or name where one answers with --endpoint host:port",
                dir.path().display()
            );
        }
        let bytes = disk.read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is damaged: stop the cluster and start it again", path.display()))
    }

    /// Replaces the record.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &DataDir) -> anyhow::Result<()> {
        let path = dir.cluster_file();
        let text = serde_json::to_vec_pretty(self).context("encoding the cluster's record")?;
        disk.write_durably(&path, &text).with_context(|| format!("writing {}", path.display()))
    }

    /// Removes the record: nothing runs any more.
    pub(crate) fn remove(disk: &dyn Disk, dir: &DataDir) -> anyhow::Result<()> {
        let path = dir.cluster_file();
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
    use std::path::Path;

    use helixflow_env::disk::MemoryDisk;

    use super::*;

    fn dir() -> DataDir {
        DataDir::new(Path::new("/")).expect("a path")
    }

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
        record.write(&disk, &dir()).expect("a write");
        assert_eq!(ClusterFile::read(&disk, &dir()).expect("the record"), record);
        let bytes = disk.read(Path::new("/cluster.json")).expect("a file");
        let json: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(json["processes"][0]["role"], "coordinator");
        assert_eq!(record.coordinators(), ["127.0.0.1:20001"]);
    }

    #[test]
    fn a_missing_record_says_how_to_start_a_cluster() {
        let error = ClusterFile::read(&MemoryDisk::default(), &dir()).map_err(|e| e.to_string());
        assert!(error.is_err_and(|text| text.contains("helixflow up")));
    }
}
