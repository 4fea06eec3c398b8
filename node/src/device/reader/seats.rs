//! The requests on their way to the boards' threads, and what a thread does with them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use helixflow_model::BoardId;
use parking_lot::Mutex;

use super::output::Output;
use crate::device::driver::{Driver, Refusal, Tell};
use crate::device::protocol::{Answer, Ask, Line};

/// Requests that wait for a board. The node sends the next one only after an answer; one more is room for a node that
/// has not seen the answer yet.
const MOST_WAITING: usize = 2;

/// The requests of each board, for its thread.
pub(super) type Requests = Receiver<(u64, Ask)>;

/// The way to each board's thread.
#[derive(Default)]
pub(super) struct Seats {
    requests: Mutex<BTreeMap<BoardId, SyncSender<(u64, Ask)>>>,
}

impl Seats {
    /// Makes the way to a board; none where there is one already.
    pub(super) fn take(&self, board: &BoardId) -> Option<Requests> {
        let (requests, waiting) = sync_channel(MOST_WAITING);
        match self.requests.lock().entry(board.clone()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(seat) => {
                seat.insert(requests);
                Some(waiting)
            }
        }
    }

    /// Hands a request to its board's thread without waiting for it.
    pub(super) fn ask(&self, board: &BoardId, number: u64, ask: Ask) -> Result<(), String> {
        match self.requests.lock().get(board) {
            None => Err(format!(
                "no driver shows {board} now; it is looked for again, and `nvidia-smi` may say more"
            )),
            Some(requests) => requests
                .try_send((number, ask))
                .map_err(|_| format!("{board} has not answered the last request yet")),
        }
    }
}

/// Answers requests for as long as there may be any.
pub(super) fn answer_all(driver: &mut dyn Driver, waiting: &Requests, tell: &Tell, output: &Output) {
    while let Ok((number, ask)) = waiting.recv() {
        let answer = answer(driver, ask, tell);
        output.write(&Line::Answer(number, answer));
    }
}

fn answer(driver: &mut dyn Driver, ask: Ask, tell: &Tell) -> Answer {
    let done = |outcome: Result<(), Refusal>| outcome.map_or_else(Answer::Refused, |()| Answer::Done);
    match ask {
        Ask::Read => {
            driver.watch(tell);
            Answer::Reading(Box::new(driver.read()))
        }
        Ask::MaySet => done(driver.may_set()),
        Ask::LockClock(most) => done(driver.lock_clock(most)),
        Ask::FreeClock => done(driver.free_clock()),
        Ask::PowerLimit => driver.power_limit().map_or_else(Answer::Refused, Answer::Power),
        Ask::SetPowerLimit(limit) => done(driver.set_power_limit(limit)),
    }
}
