//! The calls of each board: one on its way at a time, a few behind it.
//!
//! A call whose caller has gone is not sent; its answer, where it was sent before, is dropped, but for the faults that were
//! told with it: those come with the next reading.

use std::collections::{BTreeMap, VecDeque};

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

    /// What is to be sent now: of each board that may be asked and has no call on its way, the next one.
    pub(super) fn next(&mut self, now: Instant, may_ask: impl Fn(&BoardId) -> bool) -> Option<Request> {
        let free = self.boards.iter_mut().filter(|(board, queue)| queue.sent.is_none() && may_ask(board));
        for (_, queue) in free {
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

    /// Passes an answer on; to a call of which board, where it was that of a call on its way.
    pub(super) fn answered(&mut self, number: u64, answer: Answer) -> Option<BoardId> {
        let is_it = |queue: &&mut Queue| queue.sent.as_ref().is_some_and(|sent| sent.number == number);
        let sent = self.boards.values_mut().find(is_it)?.sent.take()?;
        let board = sent.call.board.clone();
        sent.call.answer(answer, self.untold.entry(board.clone()).or_default());
        Some(board)
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

    /// Whether anybody has ever asked the board. One that came after the node's start is never asked.
    pub(super) fn is_asked(&self, board: &BoardId) -> bool {
        self.boards.contains_key(board)
    }

    /// Since when the board's call is on its way, where one is.
    pub(super) fn sent_since(&self, board: &BoardId) -> Option<Instant> {
        self.boards.get(board)?.sent.as_ref().map(|sent| sent.since)
    }

    /// Since when none of these boards has answered: where each that was ever asked has a call on its way, the time of
    /// the last of these calls.
    pub(super) fn all_sent_since<'b>(&self, boards: impl Iterator<Item = &'b BoardId>) -> Option<Instant> {
        let asked = boards.filter(|board| self.is_asked(board));
        let since: Option<Vec<Instant>> = asked.map(|board| self.sent_since(board)).collect();
        since?.into_iter().max()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use helixflow_model::BoardReading;

    use super::*;

    type Coming = oneshot::Receiver<Result<Answer, CallError>>;

    fn board(name: &str) -> BoardId {
        BoardId::new(name).expect("a valid id")
    }

    fn any(_: &BoardId) -> bool {
        true
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
        let sent =
            [calls.next(now, any), calls.next(now, any)].map(|request| request.map(|r| (r.number, r.board)));
        assert_eq!(sent, [Some((1, board("a"))), Some((2, board("b")))]);
        assert_eq!(calls.next(now, any), None);
        assert_eq!(calls.answered(1, Answer::Done), Some(board("a")));
        assert_eq!(calls.answered(1, Answer::Done), None, "an answer comes once");
        assert_eq!(calls.next(now, any).map(|request| request.number), Some(3));
        assert_eq!(calls.answered(3, Answer::Done), Some(board("a")));
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
            calls.next(now, any);
            drop(given_up);
            assert!(calls.answered(number, reading(code)).is_some());
        }
        let mut coming = ask(&mut calls, "a");
        calls.next(now, any);
        assert!(calls.answered(3, reading(45)).is_some());
        let Ok(Ok(Answer::Reading(told))) = coming.try_recv() else { panic!("no reading") };
        assert_eq!(told.faults.iter().map(|event| event.code).collect::<Vec<_>>(), [79, 48, 45]);
    }

    #[test]
    fn a_call_whose_caller_has_gone_is_not_sent() {
        let mut calls = Calls::default();
        drop(ask(&mut calls, "a"));
        assert_eq!(calls.next(Instant::now(), any), None);
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
    fn a_board_that_may_not_be_asked_yet_keeps_its_call() {
        let (mut calls, now) = (Calls::default(), Instant::now());
        let _coming = ask(&mut calls, "a");
        assert_eq!(calls.next(now, |_| false), None);
        assert_eq!(calls.next(now, |asked| *asked == board("a")).map(|request| request.number), Some(1));
    }

    #[test]
    fn all_are_late_only_when_no_board_has_answered() {
        let (mut calls, start) = (Calls::default(), Instant::now());
        let boards = [board("a"), board("b")];
        let second = Duration::from_secs(1);
        let (_a, _b) = (ask(&mut calls, "a"), ask(&mut calls, "b"));
        while let Some(request) = calls.next(start, any) {
            if request.board == board("b") {
                calls.answered(request.number, Answer::Done);
            }
        }
        assert_eq!([&boards[0], &boards[1]].map(|board| calls.sent_since(board)), [Some(start), None]);
        assert_eq!(calls.all_sent_since(boards.iter()), None);
        let _b = ask(&mut calls, "b");
        calls.next(start + second, any);
        assert_eq!(calls.all_sent_since(boards.iter()), Some(start + second));
        assert_eq!(calls.all_sent_since([].iter()), None);
    }

    #[test]
    fn a_board_that_nobody_asks_keeps_none_from_being_late() {
        let (mut calls, start) = (Calls::default(), Instant::now());
        let _a = ask(&mut calls, "a");
        calls.next(start, any);
        calls.fault(board("new"), FaultEvent { code: 79, count: 1 });
        assert_eq!(calls.all_sent_since([board("a"), board("new")].iter()), Some(start));
    }
}
