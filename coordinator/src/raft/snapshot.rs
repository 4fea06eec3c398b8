//! The one snapshot file: replaced as a whole, checked by its sum when it is read.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use helixflow_env::Disk;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::codec::{CodecError, decode, encode};
use super::record::SnapshotRecord;
use super::room::Room;
use super::types::SnapshotMeta;

/// A snapshot in memory: what it covers, and the encoded state.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) meta: SnapshotMeta,
    pub(crate) data: Bytes,
}

/// Why the snapshot file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk failed.
    #[error("the snapshot {path} cannot be read: check the disk and the permissions of data_dir")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// It does not decode, or its sum is wrong.
    #[error(
        "the snapshot {path} is damaged or of another version: restore data_dir from a backup, or remove this coordinator and add it anew under another id"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Keeps the newest snapshot, on disk and in memory. Clones share it.
#[derive(Clone)]
pub(crate) struct Snapshots {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    runtime: Handle,
    room: Room,
    current: Arc<Mutex<Option<Snapshot>>>,
}

impl Snapshots {
    /// Reads the file, where there is one. Later writes block a thread of `runtime`.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: PathBuf, runtime: Handle) -> Result<Self, SnapshotError> {
        let current = match disk.read(&path) {
            Ok(bytes) => {
                Some(parse(&bytes).map_err(|source| SnapshotError::Damaged { path: path.clone(), source })?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(SnapshotError::Io { path, source }),
        };
        let folder = path.parent().unwrap_or(&path).to_owned();
        let room = Room::new(Arc::clone(&disk), folder);
        Ok(Self { disk, path, runtime, room, current: Arc::new(Mutex::new(current)) })
    }

    /// The room on its disk.
    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// The newest snapshot.
    pub(crate) fn current(&self) -> Option<Snapshot> {
        self.current.lock().clone()
    }

    /// Keeps a snapshot of what `encoded` gives. A large state takes long to encode: that too blocks no other thread.
    pub(crate) async fn make(
        &self,
        meta: SnapshotMeta,
        encoded: impl FnOnce() -> io::Result<Bytes> + Send + 'static,
    ) -> io::Result<Snapshot> {
        let this = self.clone();
        let work = async move {
            let snapshot = Snapshot { meta, data: encoded()? };
            this.write(snapshot.clone())?;
            Ok(snapshot)
        };
        self.runtime.spawn(work).await.map_err(io::Error::other)?
    }

    /// Makes a snapshot durable, then the current one; one that covers no more than the current one is dropped.
    pub(crate) async fn keep(&self, snapshot: Snapshot) -> io::Result<()> {
        self.make(snapshot.meta, move || Ok(snapshot.data)).await.map(drop)
    }

    fn write(&self, snapshot: Snapshot) -> io::Result<()> {
        // The lock is held over the write, so that an older snapshot never replaces a newer file.
        let mut current = self.current.lock();
        if current.as_ref().is_some_and(|held| held.meta.last_log_id >= snapshot.meta.last_log_id) {
            return Ok(());
        }
        self.disk.write_durably(&self.path, &print(&snapshot)?)?;
        *current = Some(snapshot);
        Ok(())
    }
}

/// The record, then the CRC-32C of it: a flipped bit must not become everybody's truth.
fn print(snapshot: &Snapshot) -> Result<Vec<u8>, CodecError> {
    let record = SnapshotRecord { meta: snapshot.meta.clone().into(), state: snapshot.data.to_vec() };
    let mut bytes = encode(&record)?;
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    Ok(bytes)
}

/// The sum does not fit the bytes.
#[derive(Debug, thiserror::Error)]
#[error("its checksum does not fit its bytes")]
struct WrongSum;

fn parse(bytes: &[u8]) -> Result<Snapshot, Box<dyn std::error::Error + Send + Sync>> {
    let (record, sum) = bytes.split_last_chunk::<4>().ok_or(WrongSum)?;
    if crc32c::crc32c(record) != u32::from_le_bytes(*sum) {
        return Err(Box::new(WrongSum));
    }
    let SnapshotRecord { meta, state } = decode(record)?;
    Ok(Snapshot { meta: meta.try_into()?, data: state.into() })
}

#[cfg(test)]
mod tests {
    use helixflow_env::Env;

    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot { meta: SnapshotMeta::default(), data: Bytes::from_static(b"the state") }
    }

    #[tokio::test]
    async fn a_kept_snapshot_is_there_after_a_restart() {
        let env = Env::simulated(1);
        let open = || Snapshots::open(Arc::clone(&env.disk), "/snapshot".into(), Handle::current());
        let snapshots = open().expect("a new file");
        assert!(snapshots.current().is_none());
        snapshots.keep(snapshot()).await.expect("a write");
        let again = open().expect("the file that was written");
        assert_eq!(again.current().map(|s| s.data), Some(snapshot().data));
    }

    #[tokio::test]
    async fn a_flipped_bit_is_refused() {
        let env = Env::simulated(1);
        let mut bytes = print(&snapshot()).expect("a small snapshot");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        env.disk.write_durably("/snapshot".as_ref(), &bytes).expect("a write");
        let opened = Snapshots::open(Arc::clone(&env.disk), "/snapshot".into(), Handle::current());
        assert!(matches!(opened, Err(SnapshotError::Damaged { .. })));
    }
}
