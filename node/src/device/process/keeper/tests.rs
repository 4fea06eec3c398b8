//! The keeper against processes that are made up: what they say and whether they die when killed is the test's.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use helixflow_control::Backoff;
use helixflow_model::{BoardInfo, BoardLimits, DeviceKind, MegaHertz};
use tokio::io::{AsyncBufReadExt, BufReader, DuplexStream, duplex, split};

use super::*;
use crate::device::process::Reader;
use crate::device::protocol::{Answer, Ask};

const PATIENCE: Patience = Patience {
    start: Duration::from_secs(1),
    open: Duration::from_secs(20),
    all_late: Duration::from_secs(5),
    one_late: Duration::from_secs(50),
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(8) },
    abandoned: 2,
    undo: Duration::from_secs(1),
};

/// Room for what is said: more than any test says.
const ROOM: usize = 1 << 16;

/// Processes that were made up.
#[derive(Clone, Default)]
struct Processes {
    started: Arc<AtomicUsize>,
    /// Whether those that are killed end.
    end: Arc<AtomicBool>,
    /// Whether they answer, and whether they tell what they found.
    answer: Arc<AtomicBool>,
    open: Arc<AtomicBool>,
    /// Whether they find no boards.
    empty: Arc<AtomicBool>,
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

async fn talk(stream: DuplexStream, process: Processes) {
    let (requests, mut lines) = split(stream);
    say(&mut lines, "a driver's library prints what it likes").await;
    if process.open.load(Ordering::SeqCst) {
        let boards = ["a", "b"].map(|name| BoardInfo {
            board: board(name),
            name: name.to_owned(),
            kind: DeviceKind::Nvidia,
            limits: BoardLimits::default(),
        });
        let boards = if process.empty.load(Ordering::SeqCst) { Vec::new() } else { boards.to_vec() };
        let found = Line::Found(Inventory { boards, ..Inventory::default() });
        say(&mut lines, &serde_json::to_string(&found).expect("a line")).await;
    }
    let mut requests = BufReader::new(requests).lines();
    while let Ok(Some(request)) = requests.next_line().await {
        let request: Request = serde_json::from_str(&request).expect("a request");
        if process.answer.load(Ordering::SeqCst) {
            let answer = Line::Answer(request.number, Answer::Done);
            say(&mut lines, &serde_json::to_string(&answer).expect("a line")).await;
        }
    }
}

fn board(name: &str) -> BoardId {
    BoardId::new(name).expect("a valid id")
}

impl Processes {
    fn in_good_health() -> Self {
        let processes = Self::default();
        for is_so in [&processes.end, &processes.answer, &processes.open] {
            is_so.store(true, Ordering::SeqCst);
        }
        processes
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }
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
    processes.empty.store(true, Ordering::SeqCst);
    assert_eq!(both(&reader).await, [Err(CallError::Replaced), Err(CallError::Replaced)]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    processes.answer.store(true, Ordering::SeqCst);
    processes.empty.store(false, Ordering::SeqCst);
    assert_eq!(both(&reader).await, [Ok(Answer::Done), Ok(Answer::Done)]);

    processes.empty.store(true, Ordering::SeqCst);
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
    processes.open.store(false, Ordering::SeqCst);
    let _reader = Reader::start(processes.clone(), PATIENCE);
    tokio::time::sleep(Duration::from_secs(10 * (20 + 8))).await;
    assert!((10..=13).contains(&processes.started()), "{}", processes.started());
}
