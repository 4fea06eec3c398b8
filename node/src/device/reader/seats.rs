//! The threads of the boards, and the requests on their way to them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use helixflow_model::BoardId;
use parking_lot::Mutex;

use super::output::Output;
use crate::device::driver::{Driver, Refusal, Tell};
use crate::device::protocol::{Answer, Ask, Line};

/// Requests that wait for a board. The node sends the next one only after an answer; one more is room for a node that
/// has not seen the answer yet.
const MOST_WAITING: usize = 2;

/// A thread for each board.
#[derive(Default)]
pub(super) struct Seats {
    requests: Mutex<BTreeMap<BoardId, SyncSender<(u64, Ask)>>>,
}

impl Seats {
    /// Starts a board's thread.
    pub(super) fn take(&self, driver: Box<dyn Driver>, output: Arc<Output>) -> io::Result<()> {
        let board = driver.info().board.clone();
        let (requests, waiting) = sync_channel(MOST_WAITING);
        std::thread::Builder::new()
            .name(board.to_string())
            .spawn(move || answer_all(driver, &waiting, &output))?;
        self.requests.lock().insert(board, requests);
        Ok(())
    }

    /// Hands a request to its board's thread without waiting for it.
    pub(super) fn ask(&self, board: &BoardId, number: u64, ask: Ask) -> Result<(), String> {
        match self.requests.lock().get(board) {
            None => Err(format!("no driver shows {board} any more; `helixflow status` names the boards")),
            Some(requests) => requests
                .try_send((number, ask))
                .map_err(|_| format!("{board} has not answered the last request yet")),
        }
    }
}

fn answer_all(mut driver: Box<dyn Driver>, waiting: &Receiver<(u64, Ask)>, output: &Arc<Output>) {
    let (board, faults) = (driver.info().board.clone(), Arc::clone(output));
    let tell: Tell = Arc::new(move |event| faults.write(&Line::Fault(board.clone(), event)));
    driver.watch(&tell);
    while let Ok((number, ask)) = waiting.recv() {
        let answer = answer(driver.as_mut(), ask, &tell);
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
