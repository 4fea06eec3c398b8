//! Small files that must survive a crash: identities, accepted epochs, cluster records.
//!
//! Weights and the Raft log have stores of their own. Calls block: they are short, and made at start or on rare changes.

mod log_file;
mod memory;
mod real;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use log_file::{append, tail};
pub use memory::MemoryDisk;
pub use real::RealDisk;

/// Reads and durably writes small files.
pub trait Disk: Send + Sync + fmt::Debug {
    /// The file's bytes.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Replaces the file as a whole: after a crash it holds the old bytes or the new ones.
    fn write_durably(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Makes a folder and its parents.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Whether a file or folder is there.
    fn exists(&self, path: &Path) -> bool;

    /// The entries of a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Takes a lock that lasts until it is dropped or the process ends; `WouldBlock` when another holds it.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
}

/// A held lock.
pub struct Lock {
    _held: Box<dyn Send + Sync>,
}

impl Lock {
    fn new(held: impl Send + Sync + 'static) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeps_its_promises(disk: &dyn Disk, root: &Path) {
        let file = root.join("a/b/state");
        assert_eq!(disk.read(&file).map_err(|e| e.kind()), Err(io::ErrorKind::NotFound));
        disk.create_dir_all(&root.join("a/b")).expect("a folder");
        disk.write_durably(&file, b"one").expect("a write");
        disk.write_durably(&file, b"two").expect("a second write");
        assert_eq!(disk.read(&file).ok().as_deref(), Some(&b"two"[..]));
        assert_eq!(disk.list(&root.join("a/b")).ok(), Some(vec![file.clone()]));
        let lock = disk.lock(&root.join("lock")).expect("a free lock");
        assert_eq!(
            disk.lock(&root.join("lock")).map(|_| ()).map_err(|e| e.kind()),
            Err(io::ErrorKind::WouldBlock)
        );
        drop(lock);
        assert!(disk.lock(&root.join("lock")).is_ok());
        disk.remove_file(&file).expect("a removal");
        assert!(!disk.exists(&file));
    }

    #[test]
    fn the_real_disk_keeps_its_promises() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        keeps_its_promises(&RealDisk, folder.path());
    }

    #[test]
    fn the_disk_in_memory_keeps_the_same_promises() {
        keeps_its_promises(&MemoryDisk::default(), Path::new("/"));
    }
}
