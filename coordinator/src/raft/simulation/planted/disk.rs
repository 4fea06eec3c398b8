//! A disk whose syncs do nothing.

use std::io;
use std::path::{Path, PathBuf};

use futures::future::{BoxFuture, ready};
use helixflow_env::Disk;
use helixflow_env::disk::{DiskFile, Lock, MemoryDisk};

/// A disk whose syncs do nothing.
#[derive(Debug)]
pub(in crate::raft::simulation) struct UnsyncedDisk(pub(in crate::raft::simulation) MemoryDisk);

#[derive(Debug)]
struct UnsyncedFile(Box<dyn DiskFile>);

impl DiskFile for UnsyncedFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn read(&self) -> io::Result<Vec<u8>> {
        self.0.read()
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, bytes)
    }
    fn sync(&mut self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(ready(Ok(())))
    }
}

impl Disk for UnsyncedDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.read(path)
    }
    fn write_durably(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.0.write_durably(path, bytes)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.0.exists(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.0.list(path)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(self.0.open(path)?)))
    }
    fn rename_durably(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename_durably(from, to)
    }
    fn sync_names(&self, folder: &Path) -> io::Result<()> {
        self.0.sync_names(folder)
    }
    fn room(&self, folder: &Path) -> io::Result<u64> {
        self.0.room(folder)
    }
    fn lock(&self, path: &Path) -> io::Result<Lock> {
        self.0.lock(path)
    }
}
