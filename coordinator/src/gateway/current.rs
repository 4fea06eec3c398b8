//! The snapshot that requests see now: read without a lock, replaced in whole, and waited for by those who came early.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::snapshot::Snapshot;

/// Where the current snapshot is.
#[derive(Debug, Default)]
pub(super) struct Current {
    snapshot: ArcSwap<Snapshot>,
    replaced: Notify,
}

impl Current {
    /// For a look.
    pub(super) fn load(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// To keep across waits.
    pub(super) fn load_full(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    pub(super) fn store(&self, next: Snapshot) {
        self.snapshot.store(Arc::new(next));
        self.replaced.notify_waiters();
    }

    /// Ends with the next [`Self::store`]: taken before a look, no newer snapshot than that of the look is missed.
    pub(super) fn replaced(&self) -> Notified<'_> {
        self.replaced.notified()
    }
}
