//! The next segment, zero-filled ahead of its use: an append then allocates nothing, and is one sync of known blocks.
//!
//! It is also the reserve for a full disk: what was accepted can still be written.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use helixflow_env::Disk;
use helixflow_env::disk::DiskFile;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Bytes written at once while a segment is filled.
const FILL: usize = 1 << 20;
/// How long to wait before asking a full disk again.
const RETRY: Duration = Duration::from_millis(200);
/// How long an append waits for room on a full disk: long enough for an operator's script, short enough to say so.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes segments ahead of their use, one at a time.
pub(super) struct Spare {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    size: usize,
    runtime: Handle,
    made: Option<JoinHandle<io::Result<Box<dyn DiskFile>>>>,
}

impl Spare {
    /// Begins to make the first one, on a thread of `runtime`.
    pub(super) fn new(disk: Arc<dyn Disk>, path: PathBuf, size: usize, runtime: Handle) -> Self {
        let mut spare = Self { disk, path, size, runtime, made: None };
        spare.begin();
        spare
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to make the next one.
    pub(super) fn begin(&mut self) {
        let (disk, path, size) = (Arc::clone(&self.disk), self.path.clone(), self.size);
        self.made = Some(self.runtime.spawn(async move { fill(disk.as_ref(), &path, size).await }));
    }

    /// The file that was made ahead. On a full disk this waits for room, and then gives up.
    pub(super) async fn take(&mut self) -> io::Result<Box<dyn DiskFile>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let made = match self.made.take() {
                Some(task) => task.await.unwrap_or_else(|ended| Err(io::Error::other(ended))),
                None => fill(self.disk.as_ref(), &self.path, self.size).await,
            };
            match made {
                Err(error) if error.kind() == io::ErrorKind::StorageFull && Instant::now() < deadline => {
                    tracing::warn!(%error, path = %self.path.display(), "no room for the next segment of the log");
                    sleep(RETRY).await;
                }
                made => return made,
            }
        }
    }
}

/// Writes zeros where the file does not reach its size yet: a segment that was used before keeps its blocks.
async fn fill(disk: &dyn Disk, path: &Path, size: usize) -> io::Result<Box<dyn DiskFile>> {
    let mut file = disk.open(path)?;
    let zeros = vec![0; FILL.min(size)];
    let (mut filled, size) = (file.size()?, size as u64);
    while filled < size {
        let next = (size - filled).min(zeros.len() as u64);
        file.write_at(filled, &zeros[..next as usize])?;
        filled += next;
    }
    file.sync().await?;
    Ok(file)
}
