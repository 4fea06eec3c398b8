//! Whether the disk has room: below a mark the leader takes no more writes, and nobody makes a snapshot.
//!
//! What was accepted before still fits the segments that lie ready. So a full disk is told to writers while it can be
//! mended, and ends no process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use helixflow_env::Disk;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Below this the disk is low: room for the next segments, and for a snapshot beside the one that it replaces.
const LOW_WATER_BYTES: u64 = 64 << 20;
/// An answer stays good for so long: the disk is not asked for every write.
const GOOD_FOR: Duration = Duration::from_millis(200);

/// The room under one folder. Clones share what was asked last.
#[derive(Clone)]
pub(crate) struct Room {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    asked: Arc<Mutex<Option<(Instant, bool)>>>,
}

impl Room {
    pub(super) fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Self {
        Self { disk, folder, asked: Arc::default() }
    }

    /// Whether the disk is low. One that does not say counts as having room: a write will tell.
    pub(super) fn is_low(&self) -> bool {
        let mut asked = self.asked.lock();
        if let Some((at, low)) = *asked
            && at.elapsed() < GOOD_FOR
        {
            return low;
        }
        let low = self.disk.room(&self.folder).is_ok_and(|room| room < LOW_WATER_BYTES);
        *asked = Some((Instant::now(), low));
        low
    }
}
