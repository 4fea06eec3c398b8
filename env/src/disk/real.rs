//! The machine's own disk.
#![expect(clippy::disallowed_methods, reason = "this is the one place that reads and writes small files")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use futures::future::{BoxFuture, ready};
use rustix::fs::{FlockOperation, flock, statvfs};

use super::{Disk, DiskFile, Lock};

/// Files by rename, each synced with its folder.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

/// Files that nobody else on the machine reads: hashes of keys are among what they hold.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

impl Disk for RealDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn write_durably(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let mut file = private().create(true).truncate(true).write(true).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        self.rename_durably(Path::new(&temporary), path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut entries =
            fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        Ok(entries)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = private().create(true).truncate(false).read(true).write(true).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn rename_durably(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        to.parent().map_or(Ok(()), |folder| self.sync_names(folder))
    }

    fn sync_names(&self, folder: &Path) -> io::Result<()> {
        // The folder of a bare file name is no name at all.
        let here = folder.as_os_str().is_empty();
        File::open(if here { Path::new(".") } else { folder })?.sync_all()
    }

    fn room(&self, folder: &Path) -> io::Result<u64> {
        let file_system = statvfs(folder)?;
        Ok(file_system.f_bavail.saturating_mul(file_system.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Lock::new(file))
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.size()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    /// Blocks the thread that polls it.
    fn sync(&mut self) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(ready(self.0.sync_data()))
    }
}
