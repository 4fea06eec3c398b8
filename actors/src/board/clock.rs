//! A board's clock: one caller at a time sets it, and whoever has limited it lets it go in the end.
//!
//! An actor that is killed or panics runs no code of its own any more, so a guard in its state begins the release as the
//! state is dropped. A guard cannot wait; the node's end does, through [`Releases`]. Where the process itself is killed,
//! nothing here runs: what was set then is undone by the device's own record at the next start.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use helixflow_control::{Backoff, ClockOrder, HeldBy};
use helixflow_model::{BoardId, MegaHertz};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Board, ClockError};

/// To set a clock takes some milliseconds; a driver that needs this long is in trouble, and is asked again.
const CLOCK_LIMIT: Duration = Duration::from_secs(2);
/// How long an orderly end may wait for a clock to be let go: an order that is under way, then the release.
pub(crate) const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// An order that has failed is given again after these pauses: soon, since heat does not wait, and in the end seldom, for
/// each try is a call to the driver and a write to the journal. The governor's next order is given at once.
const TRY_AGAIN: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(10) };

/// The driver did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the driver did not answer within {CLOCK_LIMIT:?}")]
struct Late;

/// One board's clock. It outlives the actors that hold it one after the other, so that the release that one has left
/// behind comes before the next one's first order.
pub(crate) struct Clock {
    pub(super) board: Arc<dyn Board>,
    turn: Mutex<()>,
}

impl Clock {
    pub(crate) fn new(board: Arc<dyn Board>) -> Self {
        Self { board, turn: Mutex::new(()) }
    }

    /// Whose clock it is.
    pub(crate) fn board(&self) -> &BoardId {
        &self.board.info().board
    }

    async fn limit(&self, clock: Option<MegaHertz>) -> Result<HeldBy, ClockError> {
        let _turn = self.turn.lock().await;
        let call = self.board.limit_clock(clock);
        tokio::time::timeout(CLOCK_LIMIT, call).await.unwrap_or_else(|_| Err(ClockError::Failed(Late.into())))
    }

    async fn release(&self) -> Result<HeldBy, ClockError> {
        let board = self.board();
        self.limit(None).await.inspect(|_| tracing::info!(%board, "its clock is let go")).inspect_err(
            |error| tracing::error!(%board, error = %chain(error), "its clock could not be let go"),
        )
    }
}

/// An error with its causes, in one line.
fn chain(error: &ClockError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// The releases that still run: all are over once every sender is gone.
pub(crate) type Releases = mpsc::Sender<Infallible>;

/// What one actor has done to a clock.
pub(super) struct Hold {
    clock: Arc<Clock>,
    releases: Releases,
    /// Whether the board may run at a clock that was asked for here.
    held: bool,
    /// Whether one was set for certain.
    set: bool,
    /// Whether the clock was left to somebody else, and no order has come since.
    left: bool,
    /// How many orders have failed in a row, and when the last is to be given again.
    failures: u32,
    again: Option<Instant>,
    /// The order under way.
    under_way: Option<(ClockOrder, JoinHandle<()>)>,
    /// What to ask for next: it was asked for while another order was under way, or has failed. To begin with, that the
    /// clock be free: what an earlier life left is undone, and a node that may set no clock learns of it at once.
    next: Option<ClockOrder>,
}

impl Hold {
    pub(super) const fn new(clock: Arc<Clock>, releases: Releases) -> Self {
        let next = Some(ClockOrder::Release);
        Self {
            clock,
            releases,
            held: false,
            set: false,
            left: false,
            failures: 0,
            again: None,
            under_way: None,
            next,
        }
    }

    /// Carries out an order, or else what is left to do, and tells its outcome through `done`. Returns at once: a driver
    /// that is slow to set a clock holds up no reading. One order at a time is under way.
    pub(super) fn step(
        &mut self,
        order: Option<ClockOrder>,
        done: impl FnOnce(Result<HeldBy, ClockError>) + Send + 'static,
    ) {
        self.left &= order.is_none();
        if order.is_some() {
            (self.next, self.again) = (order, None);
        }
        if self.under_way.is_some() || self.again.is_some_and(|again| Instant::now() < again) {
            return;
        }
        let Some(order) = self.next.take() else { return };
        let limit = match order {
            ClockOrder::Limit(clock) => Some(clock),
            ClockOrder::Release => None,
        };
        self.held = true;
        let clock = Arc::clone(&self.clock);
        self.under_way = Some((order, tokio::spawn(async move { done(clock.limit(limit).await) })));
    }

    /// Whether something that was asked for is not carried out yet.
    pub(super) const fn is_pending(&self) -> bool {
        self.under_way.is_some() || self.next.is_some()
    }

    /// Whether a reading may have to wait for an order of ours: a driver does one thing at a time for a board. Where the
    /// order before has failed, the driver is in trouble, and nothing is put down to us.
    pub(super) const fn delays_readings(&self) -> bool {
        self.under_way.is_some() && self.failures == 0
    }

    /// The order under way is over. Whether it was refused for good.
    pub(super) fn finished(&mut self, outcome: &Result<HeldBy, ClockError>) -> bool {
        let Some((order, _)) = self.under_way.take() else { return false };
        let board = self.clock.board();
        match outcome {
            Ok(_) => {
                self.set = matches!(order, ClockOrder::Limit(_));
                self.held = self.set;
                self.failures = 0;
            }
            Err(ClockError::NotPermitted { why }) => {
                tracing::warn!(%board, why, "its clock is not ours to set: the board is only watched");
                self.held = self.set;
                self.next = None;
                return true;
            }
            Err(error @ ClockError::Failed(_)) => {
                if self.failures == 0 {
                    tracing::warn!(%board, ?order, error = %chain(error), "its clock was not set, and is tried again");
                }
                self.failures = self.failures.saturating_add(1);
                if self.next.is_none() {
                    self.next = Some(order);
                    self.again = Some(Instant::now() + TRY_AGAIN.pause(self.failures));
                }
            }
        }
        false
    }

    /// Somebody else has set the clock: it is theirs from now on, and not let go in the end. What an order of ours sets
    /// that is under way comes after theirs, and is let go.
    pub(super) fn leave(&mut self) {
        self.next = None;
        if !std::mem::replace(&mut self.left, true) && self.under_way.is_none() {
            (self.held, self.set) = (false, false);
            self.clock.board.leave_clock();
        }
    }

    /// Lets the clock go before the actor ends.
    pub(super) async fn release(&mut self) {
        self.abandon();
        if self.held && self.clock.release().await.is_ok() {
            self.held = false;
        }
    }

    fn abandon(&mut self) {
        if let Some((_, task)) = self.under_way.take() {
            task.abort();
        }
    }
}

impl Drop for Hold {
    /// Begins the release where no orderly end has done it; also once more where that one has failed.
    fn drop(&mut self) {
        self.abandon();
        if let (true, Ok(runtime)) = (self.held, Handle::try_current()) {
            let (clock, releases) = (Arc::clone(&self.clock), self.releases.clone());
            runtime.spawn(async move {
                // It is logged where it fails.
                let _ = clock.release().await;
                drop(releases);
            });
        }
    }
}
