//! Where callers and the engine's thread meet: orders go in, figures come out.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use helixflow_model::LoadReport;

use super::{Progress, Sink, SubmitError};
use crate::schedule::{Failure, Request, RequestNumber};

/// A request on its way to the scheduler.
pub(super) struct Submission {
    pub(super) number: RequestNumber,
    pub(super) request: Request,
    pub(super) sink: Box<dyn Sink>,
}

/// What callers want done before the next step.
#[derive(Default)]
pub(super) struct Orders {
    pub(super) submitted: Vec<Submission>,
    pub(super) cancelled: Vec<RequestNumber>,
    pub(super) shut_down: bool,
}

/// How long the engine's thread may sleep while there are no orders.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sleep {
    /// There is work to go on with.
    None,
    /// There is work, and a rest to be taken first.
    Until(Instant),
    /// There is nothing to do.
    Long,
}

impl Orders {
    fn is_empty(&self) -> bool {
        self.submitted.is_empty() && self.cancelled.is_empty() && !self.shut_down
    }
}

#[derive(Default)]
struct State {
    orders: Orders,
    next: u64,
    /// As of the last step.
    load: LoadReport,
    progress: Progress,
    ended: Option<Failure>,
}

/// Shared by the engine, its handles and its thread.
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
    /// Most requests that wait.
    bound: usize,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("bound", &self.bound).finish_non_exhaustive()
    }
}

impl Inbox {
    pub(super) fn new(bound: usize, pages: usize) -> Self {
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        let load = LoadReport { kv_pages_free: pages, kv_pages_total: pages, ..LoadReport::default() };
        let state = State { load, ..State::default() };
        Self { state: Mutex::new(state), changed: Condvar::new(), bound }
    }

    pub(super) fn submit(&self, request: Request, sink: Box<dyn Sink>) -> Result<RequestNumber, SubmitError> {
        let mut state = self.state.lock();
        if let Some(failure) = &state.ended {
            return Err(SubmitError::Ended(failure.clone()));
        }
        let waiting = state.orders.submitted.len() + state.load.queued as usize;
        if waiting >= self.bound {
            return Err(SubmitError::QueueFull { waiting, bound: self.bound });
        }
        let number = RequestNumber(state.next);
        state.next += 1;
        state.orders.submitted.push(Submission { number, request, sink });
        self.changed.notify_one();
        Ok(number)
    }

    pub(super) fn cancel(&self, number: RequestNumber) {
        let mut state = self.state.lock();
        if state.ended.is_none() {
            state.orders.cancelled.push(number);
            self.changed.notify_one();
        }
    }

    pub(super) fn shut_down(&self) {
        self.state.lock().orders.shut_down = true;
        self.changed.notify_one();
    }

    /// The orders of now; sleeps as long as it may while there are none.
    pub(super) fn take(&self, sleep: Sleep) -> Orders {
        let mut state = self.state.lock();
        while state.orders.is_empty() {
            match sleep {
                Sleep::None => break,
                Sleep::Until(end) => {
                    if self.changed.wait_until(&mut state, end).timed_out() {
                        break;
                    }
                }
                Sleep::Long => self.changed.wait(&mut state),
            }
        }
        let orders = std::mem::take(&mut state.orders);
        // Until the next figures, the bound holds for those taken as well.
        let taken = u32::try_from(orders.submitted.len()).unwrap_or(u32::MAX);
        state.load.queued = state.load.queued.saturating_add(taken);
        orders
    }

    /// Tells how busy the scheduler is, and what has been done since the last time.
    pub(super) fn publish(&self, load: LoadReport, done: Progress) {
        let mut state = self.state.lock();
        state.load = load;
        state.progress.steps += done.steps;
        state.progress.tokens += done.tokens;
    }

    /// Refuses whatever comes from now on. Returns the orders that were not taken.
    pub(super) fn end(&self, failure: Failure) -> Orders {
        let mut state = self.state.lock();
        state.ended = Some(failure);
        let pages = state.load.kv_pages_total;
        state.load = LoadReport { kv_pages_total: pages, ..LoadReport::default() };
        std::mem::take(&mut state.orders)
    }

    pub(super) fn load(&self) -> LoadReport {
        let state = self.state.lock();
        let submitted = u32::try_from(state.orders.submitted.len()).unwrap_or(u32::MAX);
        LoadReport { queued: state.load.queued.saturating_add(submitted), ..state.load }
    }

    pub(super) fn progress(&self) -> Progress {
        self.state.lock().progress
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.state.lock().ended.clone()
    }
}
