//! The keeper against processes that are made up: what they say and whether they die when killed is the test's.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use helixflow_control::Backoff;
use helixflow_model::{BoardInfo, BoardLimits, BoardReading, DeviceKind, FaultEvent, MegaHertz};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWrite, BufReader, DuplexStream, duplex, split};
use tokio::time::sleep;

use super::*;
use crate::device::process::Reader;
use crate::device::process::program::Running;
use crate::device::protocol::Ask;

const PATIENCE: Patience = Patience {
    start: Duration::from_secs(1),
    open: Duration::from_secs(20),
    all_open: Duration::from_secs(10),
    all_late: Duration::from_secs(5),
    one_late: Duration::from_secs(50),
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(8) },
    abandoned: 2,
    undo: Duration::from_secs(1),
};

/// Why a board that a process has not found is not asked.
const NOT_THERE: &str = "not there";
/// Room for what is said: more than any test says.
const ROOM: usize = 1 << 16;
/// The time between two things that a process tells by itself.
const BETWEEN: Duration = Duration::from_secs(15);

/// Processes that were made up.
#[derive(Clone, Default)]
struct Processes {
    started: Arc<AtomicUsize>,
    /// Whether those that are killed end.
    end: Arc<AtomicBool>,
    /// Whether they answer, but for these boards.
    answer: Arc<AtomicBool>,
    silent: Arc<Mutex<Vec<BoardId>>>,
    /// What they tell by themselves, one after the other.
    tell: Arc<Mutex<Vec<Line>>>,
}

struct MadeUp {
    end: Arc<AtomicBool>,
    is_killed: bool,
}

impl Life for MadeUp {
    fn kill(&mut self) {
        self.is_killed = true;
    }

    fn has_ended(&mut self) -> bool {
        self.is_killed && self.end.load(Ordering::SeqCst)
    }
}

impl Launch for Processes {
    fn launch(&mut self) -> io::Result<Running> {
        self.started.fetch_add(1, Ordering::SeqCst);
        let (ours, theirs) = duplex(ROOM);
        let (lines, requests) = split(ours);
        tokio::spawn(talk(theirs, self.clone()));
        let life = MadeUp { end: Arc::clone(&self.end), is_killed: false };
        Ok(Running { requests: Box::new(requests), lines: Box::new(lines), life: Box::new(life) })
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    // A keeper that has given the process up reads no more.
    let _ = stream.write_all(format!("{text}\n").as_bytes()).await;
}

async fn say_line(stream: &mut (impl AsyncWrite + Unpin), line: &Line) {
    say(stream, &serde_json::to_string(line).expect("a line")).await;
}

async fn talk(stream: DuplexStream, process: Processes) {
    let (requests, mut lines) = split(stream);
    let mut requests = BufReader::new(requests).lines();
    say(&mut lines, "a driver's library prints what it likes").await;
    let mut tells = process.tell.lock().clone().into_iter();
    let mut there = Vec::new();
    let mut next = Instant::now();
    loop {
        tokio::select! {
            () = sleep_until(next), if tells.len() > 0 => {
                next += BETWEEN;
                let Some(line) = tells.next() else { continue };
                if let Line::Found(found) = &line {
                    there = found.boards.iter().map(|info| info.board.clone()).collect();
                }
                say_line(&mut lines, &line).await;
            }
            request = requests.next_line() => {
                let Ok(Some(request)) = request else { return };
                let Request { number, board, ask } = serde_json::from_str(&request).expect("a request");
                let is_there = there.contains(&board);
                let is_silent = !process.answer.load(Ordering::SeqCst) || process.silent.lock().contains(&board);
                let answer = match ask {
                    _ if !is_there => Line::NotAsked(number, NOT_THERE.to_owned()),
                    _ if is_silent => continue,
                    Ask::Read => Line::Answer(number, Answer::Reading(Box::default())),
                    _ => Line::Answer(number, Answer::Done),
                };
                say_line(&mut lines, &answer).await;
            }
        }
    }
}

/// What a process says that has found these boards, while these places still open.
fn found(boards: &[&str], opening: &[&str]) -> Line {
    let info = |name: &&str| BoardInfo {
        board: board(name),
        name: (*name).to_owned(),
        kind: DeviceKind::Nvidia,
        limits: BoardLimits::default(),
    };
    let opening = opening.iter().map(|name| (*name).to_owned()).collect();
    Line::Found(Inventory { boards: boards.iter().map(info).collect(), opening, ..Inventory::default() })
}

fn board(name: &str) -> BoardId {
    BoardId::new(name).expect("a valid id")
}

impl Processes {
    fn in_good_health() -> Self {
        let processes = Self::default();
        for is_so in [&processes.end, &processes.answer] {
            is_so.store(true, Ordering::SeqCst);
        }
        processes.tell(&[found(&["a", "b"], &[])]);
        processes
    }

    fn tell(&self, lines: &[Line]) {
        *self.tell.lock() = lines.to_vec();
    }

    fn silence(&self, boards: &[&str]) {
        *self.silent.lock() = boards.iter().map(|name| board(name)).collect();
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }
}

/// Reads a board once a second for so long, as its actor does; how many readings it had.
async fn watch(reader: &Reader, name: &str, time: Duration) -> usize {
    let (end, mut readings) = (Instant::now() + time, 0);
    while Instant::now() < end {
        let reading = timeout(Duration::from_secs(1), reader.ask(&board(name), Ask::Read)).await;
        readings += usize::from(matches!(reading, Ok(Ok(Answer::Reading(_)))));
        sleep(Duration::from_secs(1)).await;
    }
    readings
}

async fn both(reader: &Reader) -> [Result<Answer, CallError>; 2] {
    let (a, b) = (board("a"), board("b"));
    let ask = Ask::LockClock(MegaHertz(1));
    let (a, b) = tokio::join!(reader.ask(&a, ask), reader.ask(&b, ask));
    [a, b]
}

#[tokio::test(start_paused = true)]
async fn calls_are_answered_and_other_lines_are_passed_over() {
    let processes = Processes::in_good_health();
    let reader = Reader::start(processes.clone(), PATIENCE);
    assert_eq!(both(&reader).await, [Ok(Answer::Done), Ok(Answer::Done)]);
    assert_eq!(processes.started(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_in_which_no_board_answers_is_replaced_and_one_late_board_is_given_longer() {
    let processes = Processes::in_good_health();
    processes.answer.store(false, Ordering::SeqCst);
    let reader = Reader::start(processes.clone(), PATIENCE);
    let start = Instant::now();
    assert_eq!(both(&reader).await, [Err(CallError::Replaced), Err(CallError::Replaced)]);
    assert_eq!(start.elapsed().as_secs(), PATIENCE.all_late.as_secs());
    let start = Instant::now();
    assert_eq!(reader.ask(&board("a"), Ask::Read).await, Err(CallError::Replaced));
    assert!(start.elapsed() >= PATIENCE.one_late, "{:?}", start.elapsed());
    processes.answer.store(true, Ordering::SeqCst);
    assert_eq!(both(&reader).await, [Ok(Answer::Done), Ok(Answer::Done)]);
    assert_eq!(processes.started(), 3);
}

#[tokio::test(start_paused = true)]
async fn boards_that_were_there_are_looked_for_again_and_on_a_machine_without_any_nothing_is() {
    let processes = Processes::in_good_health();
    let reader = Reader::start(processes.clone(), PATIENCE);
    assert_eq!(both(&reader).await, [Ok(Answer::Done), Ok(Answer::Done)]);
    processes.answer.store(false, Ordering::SeqCst);
    processes.tell(&[found(&[], &[])]);
    assert_eq!(both(&reader).await, [Err(CallError::Replaced), Err(CallError::Replaced)]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    processes.answer.store(true, Ordering::SeqCst);
    processes.tell(&[found(&["a", "b"], &[])]);
    assert_eq!(both(&reader).await, [Ok(Answer::Done), Ok(Answer::Done)]);

    processes.tell(&[found(&[], &[])]);
    let started = processes.started();
    let reader = Reader::start(processes.clone(), PATIENCE);
    assert_eq!(both(&reader).await, [Err(CallError::Over), Err(CallError::Over)]);
    assert_eq!(processes.started(), started + 1);
}

#[tokio::test(start_paused = true)]
async fn processes_that_cannot_be_killed_are_bounded_and_one_that_ends_makes_room() {
    let processes = Processes::in_good_health();
    processes.answer.store(false, Ordering::SeqCst);
    processes.end.store(false, Ordering::SeqCst);
    let reader = Reader::start(processes.clone(), PATIENCE);
    for _ in 0..PATIENCE.abandoned {
        assert_eq!(both(&reader).await, [Err(CallError::Replaced), Err(CallError::Replaced)]);
    }
    for _ in 0..10 {
        let [outcome, _] = both(&reader).await;
        assert_eq!(outcome, Err(CallError::Abandoned(PATIENCE.abandoned)));
    }
    let error = CallError::Abandoned(2).to_string();
    assert!(error.contains("nvidia-smi --gpu-reset") && error.contains("restart the machine"), "{error}");
    assert_eq!(processes.started(), PATIENCE.abandoned);
    processes.answer.store(true, Ordering::SeqCst);
    processes.end.store(true, Ordering::SeqCst);
    tokio::time::sleep(2 * LOOK_AGAIN).await;
    assert_eq!(both(&reader).await, [Ok(Answer::Done), Ok(Answer::Done)]);
    assert_eq!(processes.started(), PATIENCE.abandoned + 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_never_opens_the_drivers_is_replaced_with_growing_pauses() {
    let processes = Processes::in_good_health();
    processes.tell(&[]);
    let _reader = Reader::start(processes.clone(), PATIENCE);
    tokio::time::sleep(Duration::from_secs(10 * (20 + 8))).await;
    assert!((10..=13).contains(&processes.started()), "{}", processes.started());
}

#[tokio::test(start_paused = true)]
async fn a_board_that_is_slow_to_open_keeps_nobody_from_the_others_and_is_told_once_it_is_there() {
    let processes = Processes::in_good_health();
    processes.tell(&[found(&["a"], &["b's place"]), found(&["a", "b"], &[])]);
    let (reader, start) = (Reader::start(processes.clone(), PATIENCE), Instant::now());
    let ask = Ask::LockClock(MegaHertz(1));
    assert_eq!(reader.ask(&board("a"), ask).await, Ok(Answer::Done));
    assert_eq!(start.elapsed(), Duration::ZERO, "a board that is open is asked at once");
    let early = timeout(PATIENCE.all_open - Duration::from_secs(1), reader.ask(&board("b"), ask)).await;
    assert!(early.is_err(), "one that may yet be opened is waited for");
    let names = |found: Option<Inventory>| -> Vec<String> {
        found.into_iter().flat_map(|found| found.boards).map(|info| info.name).collect()
    };
    assert_eq!(names(reader.found(|_| true).await), ["a"]);
    assert_eq!(start.elapsed(), PATIENCE.all_open, "a slow board is worth waiting for when a node starts");
    let refused = reader.ask(&board("b"), ask).await;
    assert_eq!(
        refused,
        Ok(Answer::Refused(Refusal::Failed(NOT_THERE.to_owned()))),
        "it is waited for no longer"
    );
    assert_eq!(names(reader.found(|found| found.boards.len() > 1).await), ["a", "b"]);
    assert_eq!(start.elapsed(), BETWEEN);
    assert_eq!(reader.ask(&board("b"), ask).await, Ok(Answer::Done));
    assert_eq!(processes.started(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_opens_boards_slowly_is_not_replaced_for_calls_that_wait_meanwhile() {
    let processes = Processes::in_good_health();
    processes.answer.store(false, Ordering::SeqCst);
    processes.tell(&[found(&["a"], &["b's place"]), found(&["a", "b"], &[])]);
    let (reader, start) = (Reader::start(processes.clone(), PATIENCE), Instant::now());
    assert_eq!(reader.ask(&board("a"), Ask::Read).await, Err(CallError::Replaced));
    assert_eq!(start.elapsed(), BETWEEN + PATIENCE.all_late, "from when nothing opened any more");
}

#[tokio::test(start_paused = true)]
async fn a_board_that_hangs_for_good_costs_the_others_a_pause_ever_more_rarely() {
    let processes = Processes::in_good_health();
    let reader = Reader::start(processes.clone(), PATIENCE);
    assert_eq!(both(&reader).await, [Ok(Answer::Done), Ok(Answer::Done)]);
    processes.silence(&["b"]);
    let time = 100 * PATIENCE.one_late;
    let (well, hung) = tokio::join!(watch(&reader, "a", time), watch(&reader, "b", time));
    // After 50, 150, 350 s and so on, each with a pause before the next process.
    assert_eq!((processes.started(), hung), (7, 0));
    assert!(well >= 4900, "{well} readings of a board in good health");

    processes.silence(&[]);
    let time = 200 * PATIENCE.one_late;
    tokio::join!(watch(&reader, "a", time), watch(&reader, "b", time));
    let started = processes.started();
    processes.silence(&["b"]);
    let time = 2 * PATIENCE.one_late;
    tokio::join!(watch(&reader, "a", time), watch(&reader, "b", time));
    assert_eq!(processes.started(), started + 1, "a board that was cured is not waited for as long");
}

#[tokio::test(start_paused = true)]
async fn no_process_is_replaced_for_one_board_while_one_that_was_killed_has_not_ended() {
    let processes = Processes::in_good_health();
    let reader = Reader::start(processes.clone(), PATIENCE);
    assert_eq!(both(&reader).await, [Ok(Answer::Done), Ok(Answer::Done)]);
    processes.end.store(false, Ordering::SeqCst);
    processes.silence(&["b"]);
    let time = 100 * PATIENCE.one_late;
    let (well, _) = tokio::join!(watch(&reader, "a", time), watch(&reader, "b", time));
    assert_eq!(processes.started(), 2);
    assert!(well >= 4990, "{well} readings of a board in good health");
}

#[tokio::test(start_paused = true)]
async fn a_known_board_that_a_process_does_not_show_is_looked_for_again_ever_more_rarely() {
    let processes = Processes::in_good_health();
    let reader = Reader::start(processes.clone(), PATIENCE);
    assert_eq!(both(&reader).await, [Ok(Answer::Done), Ok(Answer::Done)]);
    processes.tell(&[found(&["a"], &[])]);
    processes.answer.store(false, Ordering::SeqCst);
    assert_eq!(both(&reader).await, [Err(CallError::Replaced), Err(CallError::Replaced)]);
    processes.answer.store(true, Ordering::SeqCst);
    let time = 100 * PATIENCE.one_late;
    let (_, gone) = tokio::join!(watch(&reader, "a", time), watch(&reader, "b", time));
    assert_eq!((processes.started(), gone), (8, 0));
    processes.tell(&[found(&["a", "b"], &[])]);
    let (_, back) = tokio::join!(watch(&reader, "a", time), watch(&reader, "b", time));
    assert_eq!(processes.started(), 9);
    assert!(back > 0, "it is back");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_refuses_for_a_board_it_lacks_shows_nothing_of_its_driver() {
    let processes = Processes::in_good_health();
    let reader = Reader::start(processes.clone(), PATIENCE);
    assert_eq!(both(&reader).await, [Ok(Answer::Done), Ok(Answer::Done)]);
    processes.tell(&[found(&["a"], &[])]);
    processes.answer.store(false, Ordering::SeqCst);
    let time = 10 * (PATIENCE.all_late + PATIENCE.backoff.longest);
    tokio::join!(watch(&reader, "a", time), watch(&reader, "b", time));
    assert!((10..=14).contains(&processes.started()), "{} processes: the pauses grow", processes.started());
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_told_by_the_next_reading_although_that_is_another_process_s() {
    let processes = Processes::in_good_health();
    let told = FaultEvent { code: 119, count: 1 };
    processes.tell(&[found(&["a", "b"], &[]), Line::Fault(board("b"), told)]);
    let reader = Reader::start(processes.clone(), PATIENCE);
    assert_eq!(both(&reader).await, [Ok(Answer::Done), Ok(Answer::Done)]);
    sleep(BETWEEN).await;
    processes.tell(&[found(&["a", "b"], &[])]);
    processes.answer.store(false, Ordering::SeqCst);
    assert_eq!(both(&reader).await, [Err(CallError::Replaced), Err(CallError::Replaced)]);
    processes.answer.store(true, Ordering::SeqCst);
    for (name, faults) in [("a", vec![]), ("b", vec![told]), ("b", vec![])] {
        let reading = BoardReading { faults, ..BoardReading::default() };
        assert_eq!(reader.ask(&board(name), Ask::Read).await, Ok(Answer::Reading(Box::new(reading))));
    }
}
