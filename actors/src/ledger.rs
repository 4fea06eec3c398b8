//! What this node has accepted, on its disk: written before it is acted on, read when the node starts again.
//!
//! So a node that restarts while no coordinator answers still knows its id and its parts, never obeys an older order than
//! the one it obeyed last, and finds the coordinators of now although its configuration names those of then.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use helixflow_control::Accepted;
use helixflow_env::Disk;
use helixflow_model::NodeId;
use serde::{Deserialize, Serialize};

/// The version of the file's form. A file of another version is refused, never guessed at.
const FORMAT: u32 = 1;

/// The file's contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// The id that the cluster gave this node.
    pub(crate) node: Option<NodeId>,
    /// The orders that it obeys.
    pub(crate) accepted: Accepted,
    /// The coordinators that the cluster has told, `host:port` each.
    pub(crate) coordinators: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    node: Option<NodeId>,
    accepted: Accepted,
    /// Missing where the cluster had told none yet.
    #[serde(default)]
    coordinators: Vec<String>,
}

/// A record that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The disk refused.
    #[error("cannot {action} {path}; check the disk's space and the folder's permissions")]
    Disk {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The file is not what this build wrote.
    #[error(
        "{path} is damaged or of another version; remove it, and the node asks the cluster for its part anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A newer or older build wrote the file.
    #[error(
        "{path} has format {found}, this build reads format {FORMAT}; run the build that wrote it, or remove the file"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
}

/// The file and the disk that it lies on.
#[derive(Debug)]
pub(crate) struct Ledger {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl Ledger {
    /// In the node's data folder, which is made if need be.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, LedgerError> {
        let ledger = Self { disk, path: folder.join("accepted.json") };
        ledger.disk.create_dir_all(folder).map_err(|source| ledger.refused("write", source))?;
        Ok(ledger)
    }

    /// What was written last; nothing accepted when there is no file.
    pub(crate) fn read(&self) -> Result<Record, LedgerError> {
        let bytes = match self.disk.read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Record::default()),
            Err(source) => return Err(self.refused("read", source)),
        };
        let damaged = |source| LedgerError::Damaged { path: self.path.clone(), source };
        let format = serde_json::from_slice::<serde_json::Value>(&bytes).map_err(damaged)?;
        match format.get("format").and_then(serde_json::Value::as_u64) {
            Some(found) if found != u64::from(FORMAT) => {
                let found = u32::try_from(found).unwrap_or(u32::MAX);
                Err(LedgerError::Format { path: self.path.clone(), found })
            }
            _ => {
                let File { node, accepted, coordinators, .. } =
                    serde_json::from_slice(&bytes).map_err(damaged)?;
                Ok(Record { node, accepted, coordinators })
            }
        }
    }

    /// Replaces the record; durable on return. Blocks for about one flush of the disk: orders change seldom.
    pub(crate) fn write(&self, record: &Record) -> Result<(), LedgerError> {
        let Record { node, accepted, coordinators } = record.clone();
        let damaged = |source| LedgerError::Damaged { path: self.path.clone(), source };
        let file = File { format: FORMAT, node, accepted, coordinators };
        let bytes = serde_json::to_vec_pretty(&file).map_err(damaged)?;
        self.disk.write_durably(&self.path, &bytes).map_err(|source| self.refused("write", source))
    }

    fn refused(&self, action: &'static str, source: io::Error) -> LedgerError {
        LedgerError::Disk { action, path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use helixflow_env::disk::MemoryDisk;
    use helixflow_model::{Epoch, Incarnation};

    use super::*;

    fn ledger() -> Ledger {
        Ledger::open(Arc::new(MemoryDisk::default()), Path::new("/node")).expect("a disk that works")
    }

    #[test]
    fn a_record_is_read_back_and_a_missing_one_is_empty() {
        let ledger = ledger();
        assert_eq!(ledger.read().ok(), Some(Record::default()));
        let accepted =
            Accepted { incarnation: Incarnation(1), epoch: Epoch(7), assignments: Default::default() };
        let record = Record { node: Some(NodeId(3)), accepted, coordinators: vec!["c-1:7100".to_owned()] };
        ledger.write(&record).expect("a disk that works");
        assert_eq!(ledger.read().ok(), Some(record));
    }

    #[test]
    fn a_file_of_another_build_is_refused_with_the_next_step() {
        let ledger = ledger();
        for (text, expected) in [
            (r#"{"format": 2, "more": true}"#, "has format 2"),
            (r#"{"format": 1}"#, "is damaged"),
            ("{", "is damaged"),
        ] {
            ledger.disk.write_durably(&ledger.path, text.as_bytes()).expect("a disk that works");
            let message = ledger.read().map_err(|e| e.to_string()).expect_err("a bad file");
            assert!(message.contains(expected) && message.contains("remove"), "{message}");
        }
    }
}
