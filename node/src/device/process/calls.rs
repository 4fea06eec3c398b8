//! The calls of each board: one on its way at a time, a few behind it.
//!
//! A call whose caller has gone is not sent; its answer, where it was sent before, is dropped, but for the faults that were
//! told with it: those come with the next reading.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use helixflow_model::{BoardId, FaultEvent};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::CallError;
use super::untold::Untold;
use crate::device::protocol::{Answer, Ask, Request};

/// Calls that wait behind one of their board: its actor asks one thing at a time, and a command may ask beside it.
const MOST_WAITING: usize = 4;

/// What somebody wants to know of a board, and where the answer goes.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) board: BoardId,
    pub(super) ask: Ask,
    pub(super) answer: oneshot::Sender<Result<Answer, CallError>>,
}

impl Call {
    pub(super) fn end(self, outcome: Result<Answer, CallError>) {
        // A caller that has gone wants nothing any more.
        let _ = self.answer.send(outcome);
    }

    /// Passes an answer on, together with the faults that nobody has heard yet, or keeps those that nobody hears now.
    fn answer(self, mut answer: Answer, untold: &mut Untold) {
        if let Answer::Reading(reading) = &mut answer {
            untold.put_before(reading);
        }
        if let Err(Ok(Answer::Reading(unheard))) = self.answer.send(Ok(answer)) {
            untold.keep(*unheard);
        }
    }
}

/// How long the calls on their way have taken by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lateness {
    /// The longest of them.
    pub(super) worst: Option<Duration>,
    /// Where every board that was ever asked has one on its way, the shortest of them: no board has answered for so long.
    pub(super) of_all: Option<Duration>,
}

struct Sent {
    number: u64,
    since: Instant,
    call: Call,
}

#[derive(Default)]
struct Queue {
    sent: Option<Sent>,
    waiting: VecDeque<Call>,
}

/// All calls that have no answer yet.
#[derive(Default)]
pub(super) struct Calls {
    boards: BTreeMap<BoardId, Queue>,
    /// Apart from the queues: a board may tell faults that nobody asks.
    untold: BTreeMap<BoardId, Untold>,
    last: u64,
}

impl Calls {
    /// Takes a call; refuses it where too many wait.
    pub(super) fn add(&mut self, call: Call) {
        let queue = self.boards.entry(call.board.clone()).or_default();
        queue.waiting.retain(|waiting| !waiting.answer.is_closed());
        if queue.waiting.len() >= MOST_WAITING {
            call.end(Err(CallError::Busy));
        } else {
            queue.waiting.push_back(call);
        }
    }

    /// What is to be sent now: of each board without a call on its way, the next one.
    pub(super) fn next(&mut self, now: Instant) -> Option<Request> {
        for queue in self.boards.values_mut().filter(|queue| queue.sent.is_none()) {
            while let Some(call) = queue.waiting.pop_front() {
                if call.answer.is_closed() {
                    continue;
                }
                self.last += 1;
                let request = Request { number: self.last, board: call.board.clone(), ask: call.ask };
                queue.sent = Some(Sent { number: self.last, since: now, call });
                return Some(request);
            }
        }
        None
    }

    /// Passes an answer on; whether it was that of a call on its way.
    pub(super) fn answered(&mut self, number: u64, answer: Answer) -> bool {
        let is_it = |queue: &&mut Queue| queue.sent.as_ref().is_some_and(|sent| sent.number == number);
        let Some(queue) = self.boards.values_mut().find(is_it) else { return false };
        let Some(sent) = queue.sent.take() else { return false };
        let untold = self.untold.entry(sent.call.board.clone()).or_default();
        sent.call.answer(answer, untold);
        true
    }

    /// Keeps a fault for the board's next reading, which may be that of another process.
    pub(super) fn fault(&mut self, board: BoardId, event: FaultEvent) {
        self.untold.entry(board).or_default().add(event);
    }

    /// Ends the calls on their way: whoever would have answered is gone.
    pub(super) fn end_sent(&mut self, why: impl Fn() -> CallError) {
        for sent in self.boards.values_mut().filter_map(|queue| queue.sent.take()) {
            sent.call.end(Err(why()));
        }
    }

    /// Ends every call.
    pub(super) fn end_all(&mut self, why: impl Fn() -> CallError) {
        self.end_sent(&why);
        for call in self.boards.values_mut().flat_map(|queue| queue.waiting.drain(..)) {
            call.end(Err(why()));
        }
    }

    /// How late the answers are, of these boards.
    pub(super) fn lateness(&self, boards: &[BoardId], now: Instant) -> Lateness {
        let taken = |board| {
            let sent = self.boards.get(board)?.sent.as_ref()?;
            Some(now.saturating_duration_since(sent.since))
        };
        // A board that came after the node's start is never asked, and is late with nothing.
        let asked = boards.iter().filter(|board| self.boards.contains_key(*board));
        let taken: Vec<Option<Duration>> = asked.map(taken).collect();
        let of_all = taken.iter().copied().collect::<Option<Vec<Duration>>>();
        Lateness {
            worst: taken.into_iter().flatten().max(),
            of_all: of_all.and_then(|taken| taken.into_iter().min()),
        }
    }
}

#[cfg(test)]
mod tests {
    use helixflow_model::BoardReading;

    use super::*;

    type Coming = oneshot::Receiver<Result<Answer, CallError>>;

    fn board(name: &str) -> BoardId {
        BoardId::new(name).expect("a valid id")
    }

    fn ask(calls: &mut Calls, name: &str) -> Coming {
        let (answer, coming) = oneshot::channel();
        calls.add(Call { board: board(name), ask: Ask::Read, answer });
        coming
    }

    #[test]
    fn one_call_of_a_board_is_on_its_way_and_other_boards_do_not_wait_for_it() {
        let (mut calls, now) = (Calls::default(), Instant::now());
        let (_first, mut second, _other) = (ask(&mut calls, "a"), ask(&mut calls, "a"), ask(&mut calls, "b"));
        let sent = [calls.next(now), calls.next(now)].map(|request| request.map(|r| (r.number, r.board)));
        assert_eq!(sent, [Some((1, board("a"))), Some((2, board("b")))]);
        assert_eq!(calls.next(now), None);
        assert!(calls.answered(1, Answer::Done));
        assert!(!calls.answered(1, Answer::Done), "an answer comes once");
        assert_eq!(calls.next(now).map(|request| request.number), Some(3));
        assert!(calls.answered(3, Answer::Done));
        assert!(matches!(second.try_recv(), Ok(Ok(Answer::Done))));
    }

    #[test]
    fn faults_of_a_reading_whose_caller_has_gone_come_with_the_next_one() {
        let (mut calls, now) = (Calls::default(), Instant::now());
        let reading = |code| {
            let faults = vec![FaultEvent { code, count: 1 }];
            Answer::Reading(Box::new(BoardReading { faults, ..BoardReading::default() }))
        };
        for (number, code) in [(1, 79), (2, 48)] {
            let given_up = ask(&mut calls, "a");
            calls.next(now);
            drop(given_up);
            assert!(calls.answered(number, reading(code)));
        }
        let mut coming = ask(&mut calls, "a");
        calls.next(now);
        assert!(calls.answered(3, reading(45)));
        let Ok(Ok(Answer::Reading(told))) = coming.try_recv() else { panic!("no reading") };
        assert_eq!(told.faults.iter().map(|event| event.code).collect::<Vec<_>>(), [79, 48, 45]);
    }

    #[test]
    fn a_call_whose_caller_has_gone_is_not_sent() {
        let mut calls = Calls::default();
        drop(ask(&mut calls, "a"));
        assert_eq!(calls.next(Instant::now()), None);
    }

    #[test]
    fn more_calls_than_may_wait_are_refused_at_once() {
        let mut calls = Calls::default();
        let waiting: Vec<Coming> = (0..MOST_WAITING).map(|_| ask(&mut calls, "a")).collect();
        let mut refused = ask(&mut calls, "a");
        assert!(matches!(refused.try_recv(), Ok(Err(CallError::Busy))));
        drop(waiting);
        let mut taken = ask(&mut calls, "a");
        assert!(taken.try_recv().is_err(), "those who left made room");
    }

    #[test]
    fn all_are_late_only_when_no_board_has_answered() {
        let (mut calls, start) = (Calls::default(), Instant::now());
        let boards = [board("a"), board("b")];
        let second = Duration::from_secs(1);
        let (_a, _b) = (ask(&mut calls, "a"), ask(&mut calls, "b"));
        while let Some(request) = calls.next(start) {
            if request.board == board("b") {
                calls.answered(request.number, Answer::Done);
            }
        }
        assert_eq!(calls.lateness(&boards, start + second), Lateness { worst: Some(second), of_all: None });
        let _b = ask(&mut calls, "b");
        calls.next(start + second);
        let late = calls.lateness(&boards, start + 3 * second);
        assert_eq!(late, Lateness { worst: Some(3 * second), of_all: Some(2 * second) });
        assert_eq!(calls.lateness(&[], start).of_all, None);
    }

    #[test]
    fn a_board_that_nobody_asks_keeps_none_from_being_late() {
        let (mut calls, start) = (Calls::default(), Instant::now());
        let second = Duration::from_secs(1);
        let _a = ask(&mut calls, "a");
        calls.next(start);
        calls.fault(board("new"), FaultEvent { code: 79, count: 1 });
        let late = calls.lateness(&[board("a"), board("new")], start + second);
        assert_eq!(late, Lateness { worst: Some(second), of_all: Some(second) });
    }
}
