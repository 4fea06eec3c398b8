//! What this node has set on its boards, on its disk: written before it is set, removed once it is undone.
//!
//! So a setting that a killed process left behind is known to the next start, and to the command that a unit runs when it
//! stops. The driver itself could not tell: there is no call that reads a locked clock.
//!
//! Neither clocks nor power limits outlive a boot of the machine. What was written down in another one is dropped: what is
//! set now is somebody else's.

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
/// Where the kernel tells which boot this is: a number drawn anew in each (`random(4)`), the same in every container.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

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

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    /// The boot in which all of it was set; absent where the kernel does not tell, and in files of earlier builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
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

/// The settings of this boot, as the file has them.
#[derive(Debug)]
pub(super) struct Journal {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    boot: Option<String>,
    boards: BTreeMap<BoardId, Setting>,
    /// How many settings of another boot the file still has.
    gone: usize,
}

impl Journal {
    /// In the node's data folder; without a file, nothing is set. The file is only read.
    pub(super) fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, JournalError> {
        let (path, boot) = (folder.join(NAME), boot(disk.as_ref()));
        let file = match disk.read(&path) {
            Ok(bytes) => {
                parse(&bytes).map_err(|source| JournalError::Damaged { path: path.clone(), source })?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => File::default(),
            Err(source) => return Err(JournalError::Disk { action: "read", path, source }),
        };
        let is_of_another = boot.is_some() && file.boot.is_some() && file.boot != boot;
        let (gone, boards) =
            if is_of_another { (file.boards.len(), BTreeMap::new()) } else { (0, file.boards) };
        Ok(Self { disk, path, boot, boards, gone })
    }

    /// Removes what another boot has set from the file too, and says so.
    pub(super) fn forget_other_boots(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        if gone == 0 {
            return;
        }
        tracing::info!(
            gpus = gone,
            "the machine was restarted: what this node had set before is not set any more"
        );
        if let Err(error) = self.write(self.boards.clone()) {
            tracing::warn!(%error, "settings of before the machine's restart stay in the file; they are not obeyed");
        }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
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
        let file = File { format: FORMAT, boot: self.boot.clone(), boards };
        let bytes = serde_json::to_vec_pretty(&file).map_err(|error| refused(error.into()))?;
        self.disk.write_durably(&self.path, &bytes).map_err(refused)?;
        self.boards = file.boards;
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Result<File, Box<dyn std::error::Error + Send + Sync>> {
    let file: File = serde_json::from_slice(bytes)?;
    if file.format != FORMAT {
        return Err(format!("it has format {}, and this build reads format {FORMAT}", file.format).into());
    }
    Ok(file)
}

/// Which boot of the machine this is; none where the kernel does not tell.
fn boot(disk: &dyn Disk) -> Option<String> {
    let bytes = disk.read(Path::new(BOOT)).ok()?;
    let boot = String::from_utf8(bytes).ok()?.trim().to_owned();
    (!boot.is_empty()).then_some(boot)
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

    /// Cuts the machine's power, as far as a boot's number tells.
    fn boot_as(disk: &Arc<dyn Disk>, boot: &str) {
        disk.create_dir_all(Path::new("/proc/sys/kernel/random")).expect("a folder");
        disk.write_durably(Path::new(BOOT), boot.as_bytes()).expect("a write");
    }

    /// A disk on which a node has locked a clock in this boot; in one that nobody tells where it is empty.
    fn locked_in(boot: &str) -> Arc<dyn Disk> {
        let disk = disk();
        boot_as(&disk, boot);
        let board = BoardId::new("GPU-1").expect("a valid id");
        open(&disk).expect("an empty journal").record(&board, Setting::LockedClock).expect("a write");
        disk
    }

    #[test]
    fn what_was_set_before_a_boot_is_not_obeyed_after_it_and_forgotten_by_the_next_start() {
        let disk = locked_in("one\n");
        assert_eq!(open(&disk).expect("the same boot").boards().len(), 1);
        boot_as(&disk, "two\n");
        let file = || disk.read(Path::new("/node/clocks.json")).expect("a file");
        let before = file();
        let mut journal = open(&disk).expect("another boot");
        assert_eq!((journal.boards(), file()), (vec![], before), "looking changes nothing");
        journal.forget_other_boots();
        boot_as(&disk, "one\n");
        assert_eq!(open(&disk).expect("an empty journal").boards(), [], "it is not in the file any more");
    }

    #[test]
    fn where_a_boot_is_not_told_now_or_was_not_then_what_is_written_down_is_obeyed() {
        for (then, now) in [("one", ""), ("", "two"), ("", "")] {
            let disk = locked_in(then);
            boot_as(&disk, now);
            let mut journal = open(&disk).expect("a journal");
            journal.forget_other_boots();
            assert_eq!(journal.boards().len(), 1, "{then:?}, then {now:?}");
        }
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
