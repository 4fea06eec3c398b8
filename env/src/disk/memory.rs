//! A disk in memory, as a simulation needs it: a crash may lose or tear whatever was not synced, and faults are set by
//! hand.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::memory_file::Bytes;
use super::{Disk, DiskFile, Lock};
use crate::Randomness;

/// Files by path. Clones share one disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    contents: Arc<Mutex<Contents>>,
}

/// What is wrong with a disk just now.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFaults {
    /// No file can grow, and none be made.
    pub full: bool,
    /// Syncs fail, and lose what they should have kept.
    pub failing: bool,
    /// How long a sync takes.
    pub sync_delay: Duration,
}

#[derive(Debug, Default)]
struct Contents {
    /// Names as processes see them, and as they are after a crash.
    names: BTreeMap<PathBuf, Inode>,
    durable_names: BTreeMap<PathBuf, Inode>,
    files: BTreeMap<Inode, Bytes>,
    last_inode: Inode,
    folders: BTreeSet<PathBuf>,
    locked: BTreeSet<PathBuf>,
    faults: DiskFaults,
    refusals: u64,
}

type Inode = u64;

impl MemoryDisk {
    /// Sets the faults from now on.
    pub fn set_faults(&self, faults: DiskFaults) {
        self.contents.lock().faults = faults;
    }

    /// How often it was full or failed to sync when asked.
    pub fn refusals(&self) -> u64 {
        self.contents.lock().refusals
    }

    /// Cuts the power: what was not synced is lost, kept or torn, as `random` draws it, and every lock is gone. Open
    /// files must not be used any more.
    pub fn crash(&self, random: &dyn Randomness) {
        let mut contents = self.contents.lock();
        for bytes in contents.files.values_mut() {
            bytes.crash(random);
        }
        contents.lose_names(random);
        contents.locked.clear();
    }

    /// Flips bits of a file where it lies, as an ageing disk does.
    pub fn rot(&self, path: &Path, offset: u64, mask: u8) -> io::Result<()> {
        self.contents.lock().bytes(path)?.rot(offset, mask)
    }
}

impl Contents {
    fn bytes(&mut self, path: &Path) -> io::Result<&mut Bytes> {
        let inode = self.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        self.files.get_mut(inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The file of this name, made when it is missing.
    fn make(&mut self, path: &Path) -> io::Result<Inode> {
        if let Some(inode) = self.names.get(path) {
            return Ok(*inode);
        }
        if !path.parent().is_none_or(|folder| folder == Path::new("/") || self.folders.contains(folder)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.check_room()?;
        self.last_inode += 1;
        self.files.insert(self.last_inode, Bytes::default());
        self.names.insert(path.to_owned(), self.last_inode);
        Ok(self.last_inode)
    }

    fn check_room(&mut self) -> io::Result<()> {
        if !self.faults.full {
            return Ok(());
        }
        self.refusals += 1;
        Err(io::ErrorKind::StorageFull.into())
    }

    /// Makes the names in a folder durable, as they are.
    fn sync_folder(&mut self, folder: Option<&Path>) {
        let elsewhere = |path: &PathBuf, _: &mut Inode| path.parent() != folder;
        self.durable_names.retain(elsewhere);
        let here = self.names.iter().filter(|(path, _)| path.parent() == folder);
        self.durable_names.extend(here.map(|(path, inode)| (path.clone(), *inode)));
    }

    /// Keeps or undoes each change of a name that was not synced, and forgets files without a name.
    fn lose_names(&mut self, random: &dyn Randomness) {
        let all: BTreeSet<PathBuf> = self.names.keys().chain(self.durable_names.keys()).cloned().collect();
        for path in all {
            let durable = self.durable_names.get(&path).copied();
            if self.names.get(&path).copied() == durable || random.next_u64().is_multiple_of(2) {
                continue;
            }
            match durable {
                Some(inode) => self.names.insert(path, inode),
                None => self.names.remove(&path),
            };
        }
        self.durable_names.clone_from(&self.names);
        let named: BTreeSet<Inode> = self.names.values().copied().collect();
        self.files.retain(|inode, _| named.contains(inode));
    }
}

impl Disk for MemoryDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.contents.lock().bytes(path).map(|bytes| bytes.current().to_vec())
    }

    fn write_durably(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut contents = self.contents.lock();
        contents.check_room()?;
        contents.make(path)?;
        *contents.bytes(path)? = Bytes::durable(bytes);
        contents.sync_folder(path.parent());
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.contents.lock().folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        let contents = self.contents.lock();
        contents.names.contains_key(path) || contents.folders.contains(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let contents = self.contents.lock();
        let inside = |entry: &&PathBuf| entry.parent() == Some(path);
        let entries: BTreeSet<&PathBuf> =
            contents.names.keys().chain(&contents.folders).filter(inside).collect();
        Ok(entries.into_iter().cloned().collect())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.contents.lock().names.remove(path).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.contents.lock().make(path)?;
        Ok(Box::new(Open { contents: Arc::clone(&self.contents), inode }))
    }

    fn rename_durably(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut contents = self.contents.lock();
        let inode = contents.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        contents.names.insert(to.to_owned(), inode);
        contents.sync_folder(to.parent());
        Ok(())
    }

    fn sync_names(&self, folder: &Path) -> io::Result<()> {
        self.contents.lock().sync_folder(Some(folder));
        Ok(())
    }

    fn room(&self, _: &Path) -> io::Result<u64> {
        Ok(if self.contents.lock().faults.full { 0 } else { u64::MAX })
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        if !self.contents.lock().locked.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Lock::new(Held { contents: Arc::clone(&self.contents), path: path.to_owned() }))
    }
}

#[derive(Debug)]
struct Open {
    contents: Arc<Mutex<Contents>>,
    inode: Inode,
}

impl Open {
    fn with<T>(&self, act: impl FnOnce(&mut Bytes, DiskFaults) -> io::Result<T>) -> io::Result<T> {
        let mut contents = self.contents.lock();
        let faults = contents.faults;
        let done = act(contents.files.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?, faults);
        contents.refusals += u64::from(done.is_err());
        done
    }
}

impl DiskFile for Open {
    fn size(&self) -> io::Result<u64> {
        self.with(|bytes, _| Ok(bytes.current().len() as u64))
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        self.with(|bytes, _| Ok(bytes.current().to_vec()))
    }

    fn write_at(&mut self, offset: u64, written: &[u8]) -> io::Result<()> {
        self.with(|bytes, faults| {
            if faults.full && bytes.grows(offset, written) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            bytes.write(offset, written)
        })
    }

    fn sync(&mut self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async {
            let delay = self.contents.lock().faults.sync_delay;
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            self.with(|bytes, faults| if faults.failing { bytes.fail_to_sync() } else { bytes.sync() })
        })
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
