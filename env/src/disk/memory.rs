//! A disk in memory, where every completed write is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, Lock};

/// Files by path.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    contents: Arc<Mutex<Contents>>,
}

#[derive(Debug, Default)]
struct Contents {
    files: BTreeMap<PathBuf, Vec<u8>>,
    folders: BTreeSet<PathBuf>,
    locked: BTreeSet<PathBuf>,
}

impl Disk for MemoryDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.contents.lock().files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write_durably(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut contents = self.contents.lock();
        if !path.parent().is_none_or(|folder| folder == Path::new("/") || contents.folders.contains(folder)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        contents.files.insert(path.to_owned(), bytes.to_owned());
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.contents.lock().folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        let contents = self.contents.lock();
        contents.files.contains_key(path) || contents.folders.contains(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let contents = self.contents.lock();
        let inside = |entry: &&PathBuf| entry.parent() == Some(path);
        let entries: BTreeSet<&PathBuf> =
            contents.files.keys().chain(&contents.folders).filter(inside).collect();
        Ok(entries.into_iter().cloned().collect())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.contents.lock().files.remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        if !self.contents.lock().locked.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Lock::new(Held { contents: Arc::clone(&self.contents), path: path.to_owned() }))
    }
}

struct Held {
    contents: Arc<Mutex<Contents>>,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.contents.lock().locked.remove(&self.path);
    }
}
