//! What this node has set on its boards, on its disk: written before it is set, removed once it is undone.
//!
//! So a setting that a killed process left behind is known to the next start, and to the command that a unit runs when it
//! stops. The driver itself could not tell: there is no call that reads a locked clock.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use helixflow_env::Disk;
use helixflow_model::{BoardId, MilliWatts};
use serde::{Deserialize, Serialize};

/// The version of the file's form. A file of another version is refused, never guessed at.
const FORMAT: u32 = 1;
/// The file's name in the node's data folder.
const NAME: &str = "clocks.json";

/// What was set on one board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Setting {
    /// Its clock was locked. Nobody can tell what stood before: undone, it runs freely.
    LockedClock,
    /// Its power limit was changed.
    PowerLimit {
        /// What stood before.
        before: MilliWatts,
        /// What we set, and what we were about to set when this was written: another value is somebody else's.
        ours: Vec<MilliWatts>,
    },
}

impl Setting {
    /// How a person undoes it.
    pub(super) fn by_hand(&self, board: &BoardId) -> String {
        match self {
            Self::LockedClock => format!("free its clock by hand (`nvidia-smi -rgc -i {board}`)"),
            Self::PowerLimit { before, .. } => {
                let watts = before.0 / 1000;
                format!(
                    "set its power limit back to {watts} W by hand (`nvidia-smi -i {board} -pl {watts}`; of an AMD board the \
                     file `power1_cap`, in microwatts)"
                )
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    boards: BTreeMap<BoardId, Setting>,
}

/// A journal that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
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
    /// The file is not what a build of this version wrote.
    #[error(
        "{path} is damaged or of another version; free the clocks by hand (`nvidia-smi -rgc`), set power limits back where \
         they were lowered (`nvidia-smi -pl`, of AMD boards the file `power1_cap`), then remove the file"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The settings, as the file has them.
#[derive(Debug)]
pub(super) struct Journal {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    boards: BTreeMap<BoardId, Setting>,
}

impl Journal {
    /// In the node's data folder; without a file, nothing is set.
    pub(super) fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join(NAME);
        let boards = match disk.read(&path) {
            Ok(bytes) => {
                parse(&bytes).map_err(|source| JournalError::Damaged { path: path.clone(), source })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => return Err(JournalError::Disk { action: "read", path, source }),
        };
        Ok(Self { disk, path, boards })
    }

    /// The boards on which something is set.
    pub(super) fn boards(&self) -> Vec<BoardId> {
        self.boards.keys().cloned().collect()
    }

    /// What is set on a board.
    pub(super) fn setting(&self, board: &BoardId) -> Option<Setting> {
        self.boards.get(board).cloned()
    }

    /// Records what is about to be set; durable on return. Blocks for about one flush of the disk: clocks change seldom.
    pub(super) fn record(&mut self, board: &BoardId, setting: Setting) -> Result<(), JournalError> {
        if self.boards.get(board) == Some(&setting) {
            return Ok(());
        }
        let mut boards = self.boards.clone();
        boards.insert(board.clone(), setting);
        self.write(boards)
    }

    /// Records that nothing of ours is set any more.
    pub(super) fn clear(&mut self, board: &BoardId) -> Result<(), JournalError> {
        let mut boards = self.boards.clone();
        if boards.remove(board).is_none() {
            return Ok(());
        }
        self.write(boards)
    }

    fn write(&mut self, boards: BTreeMap<BoardId, Setting>) -> Result<(), JournalError> {
        let refused = |source| JournalError::Disk { action: "write", path: self.path.clone(), source };
        let file = File { format: FORMAT, boards };
        let bytes = serde_json::to_vec_pretty(&file).map_err(|error| refused(error.into()))?;
        self.disk.write_durably(&self.path, &bytes).map_err(refused)?;
        self.boards = file.boards;
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Result<BTreeMap<BoardId, Setting>, Box<dyn std::error::Error + Send + Sync>> {
    let File { format, boards } = serde_json::from_slice(bytes)?;
    if format != FORMAT {
        return Err(format!("it has format {format}, and this build reads format {FORMAT}").into());
    }
    Ok(boards)
}

#[cfg(test)]
mod tests {
    use helixflow_env::disk::MemoryDisk;

    use super::*;

    fn open(disk: &Arc<dyn Disk>) -> Result<Journal, JournalError> {
        Journal::open(Arc::clone(disk), Path::new("/node"))
    }

    fn disk() -> Arc<dyn Disk> {
        let disk = MemoryDisk::default();
        disk.create_dir_all(Path::new("/node")).expect("a folder");
        Arc::new(disk)
    }

    #[test]
    fn what_is_set_is_known_to_the_next_start_until_it_is_undone() {
        let (disk, board) = (disk(), BoardId::new("GPU-1").expect("a valid id"));
        let setting = Setting::PowerLimit { before: MilliWatts(700_000), ours: vec![MilliWatts(500_000)] };
        open(&disk).expect("an empty journal").record(&board, setting.clone()).expect("a write");
        let mut next = open(&disk).expect("the same journal");
        assert_eq!((next.boards(), next.setting(&board)), (vec![board.clone()], Some(setting)));
        next.clear(&board).expect("a write");
        assert_eq!(open(&disk).expect("an empty journal").boards(), []);
    }

    #[test]
    fn a_damaged_journal_says_how_to_go_on() {
        let disk = disk();
        for text in ["{", r#"{"format": 2, "boards": {}}"#, r#"{"format": 1}"#] {
            disk.write_durably(Path::new("/node/clocks.json"), text.as_bytes()).expect("a write");
            let error = open(&disk).expect_err(text).to_string();
            for words in ["nvidia-smi -rgc", "nvidia-smi -pl", "clocks.json"] {
                assert!(error.contains(words), "{error}");
            }
        }
    }
}
