//! What must survive a crash: small files replaced as a whole, and files written in place, as the Raft log's are.
//!
//! Weights have a store of their own. Calls block: they are made at start, on rare changes, or on a thread that may wait
//! for the disk. The disk in memory loses at a crash what a real one may lose.

mod log_file;
mod memory;
mod memory_file;
mod real;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;

pub use log_file::{append, tail};
pub use memory::{DiskFaults, MemoryDisk};
pub use real::RealDisk;

/// Reads and durably writes files.
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

    /// Removes a file. After a crash it may be there again.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Opens a file to write it in place, made when missing. After a crash a new one may be missing again, until
    /// [`Disk::rename_durably`] gave it its name, or [`Disk::sync_names`] kept the one it has.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name in the same folder, for good: what bore that name is gone.
    fn rename_durably(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable, as they are.
    fn sync_names(&self, folder: &Path) -> io::Result<()>;

    /// Bytes that files under this folder may still take.
    fn room(&self, folder: &Path) -> io::Result<u64>;

    /// Takes a lock that lasts until it is dropped or the process ends; `WouldBlock` when another holds it.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
}

/// A file that is written in place.
pub trait DiskFile: Send + fmt::Debug {
    /// How many bytes it has.
    fn size(&self) -> io::Result<u64>;

    /// All its bytes.
    fn read(&self) -> io::Result<Vec<u8>>;

    /// Overwrites bytes, and extends the file where they reach beyond its end. After a crash any part of them may be
    /// there or not, until [`DiskFile::sync`].
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes all that was written durable. When it fails, what was written since the last one may be lost for good,
    /// even where it can still be read: asking again proves nothing.
    fn sync(&mut self) -> BoxFuture<'_, io::Result<()>>;
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
        writes_in_place(disk, root);
        assert!(disk.room(root).expect("its room") > 0);
    }

    fn writes_in_place(disk: &dyn Disk, root: &Path) {
        let (new, named) = (root.join("a/new"), root.join("a/named"));
        let mut open = disk.open(&new).expect("a new file");
        open.write_at(2, b"cd").expect("a write");
        open.write_at(0, b"ab").expect("a write");
        block_on(open.sync()).expect("a sync");
        disk.sync_names(&root.join("a")).expect("a name that stays");
        disk.rename_durably(&new, &named).expect("a name");
        open.write_at(3, b"D").expect("a write under the new name");
        assert_eq!(open.size().ok(), Some(4));
        assert_eq!(disk.open(&named).and_then(|file| file.read()).ok().as_deref(), Some(&b"abcD"[..]));
        assert!(!disk.exists(&new));
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(future)
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
