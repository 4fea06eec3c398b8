//! A machine with made-up GPUs, and a node's view of them.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use helixflow_actors::{Board, BoardError};
use helixflow_control::Backoff;
use helixflow_env::disk::RealDisk;
use helixflow_model::BoardReading;
use helixflow_node::device::{Gpus, Patience, Program};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child;
use crate::stub::{self, Script};

/// Turns a hang into a failure.
const LIMIT: Duration = Duration::from_secs(60);

/// Long enough for every call of a slow machine, short enough for a test that waits for a call that never ends.
pub(crate) const PATIENCE: Patience = Patience {
    start: Duration::from_secs(30),
    open: Duration::from_secs(30),
    all_open: Duration::from_secs(20),
    all_late: Duration::from_secs(3),
    one_late: Duration::from_secs(50),
    backoff: Backoff { first: Duration::from_millis(10), longest: Duration::from_millis(100) },
    abandoned: 4,
    undo: Duration::from_secs(30),
};

/// A machine.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) script: Script,
}

/// What the future gives, unless it hangs.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("an answer in time")
}

impl World {
    /// With boards of these values; each has its place for an id unless it has one.
    pub(crate) fn new(boards: Value) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut boards = boards;
        for (place, board) in boards.as_array_mut().expect("a list of boards").iter_mut().enumerate() {
            let uuid = format!("GPU-{place}");
            board.as_object_mut().expect("a board").entry("uuid").or_insert(uuid.into());
        }
        let script = Script::new(folder.path(), json!({ "boards": boards }));
        Self { script, folder }
    }

    pub(crate) fn program(&self) -> Program {
        child::program(&[
            ("HELIXFLOW_NVML_LIBRARY", stub::library().as_os_str()),
            ("HELIXFLOW_NVML_STUB", self.script.path().as_os_str()),
            ("HELIXFLOW_SYSFS", OsStr::new("/nowhere")),
        ])
    }

    /// Starts a node's view of them.
    pub(crate) async fn gpus_with(&self, patience: Patience) -> Gpus {
        let gpus = Gpus::find(self.program(), patience, Arc::new(RealDisk), self.folder.path());
        within(gpus).await.expect("a journal that can be read")
    }

    pub(crate) async fn gpus(&self) -> Gpus {
        self.gpus_with(PATIENCE).await
    }

    /// Changes the values of one board.
    pub(crate) fn change(&self, board: usize, key: &str, value: Value) {
        self.script.change(|script| script["boards"][board][key] = value);
    }
}

/// A reading.
pub(crate) async fn read(board: &Arc<dyn Board>) -> Result<BoardReading, BoardError> {
    within(board.read()).await
}

/// Reads until it works, as a board's actor does.
pub(crate) async fn read_at_last(board: &Arc<dyn Board>) -> BoardReading {
    within(async {
        loop {
            match board.read().await {
                Ok(reading) => return reading,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await
}
