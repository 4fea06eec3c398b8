//! The node's side of the process that reads devices: starts it, asks it, replaces it when the driver holds it.
//!
//! A driver in trouble can block a call so that nothing but a new machine ends it, and every later call of that process
//! with it. So the node makes no such call itself: it asks a process that it can do without.

mod calls;
mod keeper;
mod link;
mod program;
mod replaced;
mod untold;

use std::time::Duration;

use helixflow_control::Backoff;
use helixflow_model::BoardId;
use tokio::sync::{mpsc, oneshot, watch};

use super::protocol::{Answer, Ask, Inventory};
use calls::Call;
use keeper::Keeper;
use program::Launch;

pub use program::Program;

/// Calls on their way to the one that keeps the process. Boards ask one thing at a time, and no machine has as many.
const MOST_CALLS: usize = 64;

/// How long a driver may take, and what it may cost.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// What a node waits for its GPUs when it starts; then it starts without them, and has to be started again to have
    /// them. Eight GPUs without the persistence daemon take about 20 s.
    pub start: Duration,
    /// What a process may take to open the drivers: with several GPUs and no persistence daemon, many seconds.
    pub open: Duration,
    /// What a board may take to open while another is open already; then the node goes on without it until it is there.
    /// Less than `start`, so that one GPU that hangs does not cost a node all of them, and more than eight GPUs take.
    pub all_open: Duration,
    /// How long no board may answer before the process is replaced: the driver hangs, and a new process might get in.
    pub all_late: Duration,
    /// How long one board may not answer while others do. A replacement costs the others a pause, and calls of 45 s
    /// that came back are known, so this is far beyond them. It doubles for a board that a new process does not help.
    pub one_late: Duration,
    /// The pauses between processes.
    pub backoff: Backoff,
    /// Processes that were killed and have not ended. Each holds a few megabytes and whatever the driver gave it; more
    /// would not get further than these.
    pub abandoned: usize,
    /// What one setting may take to be undone while a node starts or ends, or by a command.
    pub undo: Duration,
}

impl Patience {
    /// What nodes have.
    pub const USUAL: Self = Self {
        start: Duration::from_secs(30),
        open: Duration::from_secs(60),
        all_open: Duration::from_secs(25),
        all_late: Duration::from_secs(10),
        one_late: Duration::from_secs(120),
        backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) },
        abandoned: 4,
        undo: Duration::from_secs(5),
    };
}

/// Why a board was not asked, or did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// The process has ended by itself.
    #[error("the process that reads devices has ended, and is started again")]
    Ended,
    /// It was replaced.
    #[error(
        "the driver did not answer, and the process that reads devices was replaced; `nvidia-smi` shows whether it hangs"
    )]
    Replaced,
    /// It could not be started.
    #[error("the process that reads devices cannot be started: {0}")]
    Start(String),
    /// Too many have hung.
    #[error(
        "{0} processes hang in the driver and cannot be killed; reset the GPU (`nvidia-smi --gpu-reset`), or restart the machine"
    )]
    Abandoned(usize),
    /// Too much is asked at once.
    #[error("too many calls wait for this board")]
    Busy,
    /// Nobody keeps the process any more.
    #[error("devices are not read any more: the node ends, or the drivers show none")]
    Over,
}

/// The way to the boards. Clones share one process, which ends with the last of them.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    calls: mpsc::Sender<Call>,
    found: watch::Receiver<Option<Inventory>>,
}

impl Reader {
    /// Starts the process, and keeps one running.
    pub(super) fn start(launch: impl Launch, patience: Patience) -> Self {
        let (calls, incoming) = mpsc::channel(MOST_CALLS);
        let (tell, found) = watch::channel(None);
        tokio::spawn(Keeper::new(Box::new(launch), patience, incoming, tell).keep());
        Self { calls, found }
    }

    /// What there is, once the drivers have been opened, or those boards that can be. The first of several answers in which
    /// `is_enough` holds; none where devices are not read any more.
    pub(super) async fn found(&self, is_enough: impl Fn(&Inventory) -> bool) -> Option<Inventory> {
        let mut found = self.found.clone();
        let told = found.wait_for(|found| found.as_ref().is_some_and(&is_enough)).await;
        told.ok().and_then(|found| found.clone())
    }

    /// Asks a board. Waits for as long as the board takes: the caller has the deadline.
    pub(super) async fn ask(&self, board: &BoardId, ask: Ask) -> Result<Answer, CallError> {
        let (answer, coming) = oneshot::channel();
        let call = Call { board: board.clone(), ask, answer };
        self.calls.send(call).await.map_err(|_| CallError::Over)?;
        coming.await.unwrap_or(Err(CallError::Over))
    }
}
