//! The engine on its thread: queue, cancellation, loss, shutdown.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use helixflow_engine::compute::{Batch, Compute, ComputeError, Input, Limits, Output, Shape};
use helixflow_engine::schedule::{Event, Failure, Refusal, Request, Verdict};
use helixflow_engine::{Engine, EngineOptions, Sink, StartError, SubmitError};
use helixflow_model::{LayerRange, TokenId};

use crate::bench::{Heard, ROOMY, prompt, request, warm};
use crate::oracle::streams;
use crate::toy::{BOMB, FUSE, Toy};

/// Far longer than anything here takes: a test that hangs fails instead.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Hands every event to the test, until the test hangs up.
struct Forward(Sender<Event>);

impl Sink for Forward {
    fn emit(&mut self, event: Event) -> Verdict {
        if self.0.send(event).is_ok() { Verdict::Continue } else { Verdict::Gone }
    }
}

fn sink() -> (Box<dyn Sink>, Receiver<Event>) {
    let (sender, receiver) = channel();
    (Box::new(Forward(sender)), receiver)
}

/// Everything a stream says, to its end.
fn listen(events: &Receiver<Event>) -> Heard {
    let mut heard = Heard::default();
    while heard.end.is_none() {
        let event = events.recv_timeout(WATCHDOG).expect("a stream that neither goes on nor ends");
        heard.note(event, |_| 0);
    }
    heard
}

/// Tells when a step begins, and waits for leave to make it.
struct Gated {
    toy: Toy,
    began: Sender<()>,
    leave: Receiver<()>,
}

impl Compute for Gated {
    fn shape(&self) -> &Shape {
        self.toy.shape()
    }

    fn limits(&self) -> Limits {
        self.toy.limits()
    }

    fn forward(
        &mut self,
        batch: &Batch<'_>,
        input: Input<'_>,
        output: &mut Output,
    ) -> Result<(), ComputeError> {
        // Both ends close when the test is over: then nothing is gated any more.
        let _ = self.began.send(());
        let _ = self.leave.recv();
        self.toy.forward(batch, input, output)
    }
}

struct Gate {
    began: Receiver<()>,
    leave: Sender<()>,
}

impl Gate {
    fn await_step(&self) {
        self.began.recv_timeout(WATCHDOG).expect("a step");
    }

    fn let_step(&self) {
        self.leave.send(()).expect("the engine lives");
    }
}

fn gated(options: &EngineOptions) -> (Engine, Gate) {
    let (began_here, began) = channel();
    let (leave, leave_here) = channel();
    let compute = Gated { toy: Toy::new(ROOMY), began: began_here, leave: leave_here };
    let engine = Engine::start(Box::new(compute), options).expect("it starts");
    (engine, Gate { began, leave })
}

fn start() -> Engine {
    Engine::start(Box::new(Toy::new(ROOMY)), &EngineOptions::default()).expect("it starts")
}

#[test]
fn requests_from_many_threads_get_their_own_streams() {
    let engine = Arc::new(start());
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let engine = Arc::clone(&engine);
            scope.spawn(move || {
                for round in 0..5 {
                    let request = request(prompt(caller, 40 + 30 * round), warm(20));
                    let (sink, events) = sink();
                    let _handle = engine.submit(request.clone(), sink).expect("the queue has room");
                    assert_eq!(listen(&events).streams(), streams(&request, None));
                }
            });
        }
    });
    assert_eq!(engine.failure(), None);
    // The figures of the last step are told after its events: wait for the end.
    engine.shutdown();
    assert_eq!(engine.progress().tokens, 4 * 5 * 20);
    assert!(engine.progress().steps >= 20);
}

#[test]
fn a_queue_at_its_bound_refuses_and_says_so() {
    let (engine, gate) = gated(&EngineOptions { sequences: 1, queue: 2, ..EngineOptions::default() });
    let submit = || {
        let (sink, events) = sink();
        engine.submit(request(prompt(1, 5), warm(1)), sink).map(|handle| (handle, events))
    };
    let first = submit().expect("it runs");
    gate.await_step();
    let waiting = [submit().expect("the first that waits"), submit().expect("the second that waits")];
    let full = submit().map(|_| ()).expect_err("the queue is full");
    assert_eq!(full, SubmitError::QueueFull { waiting: 2, bound: 2 });
    assert_eq!((engine.load().active, engine.load().queued), (1, 2));
    gate.let_step();
    gate.await_step();
    let late = submit().expect("there is room again");
    drop(gate);
    for (_handle, events) in [first].into_iter().chain(waiting).chain([late]) {
        assert_eq!(listen(&events).usage().generated, 1);
    }
}

#[test]
fn a_dropped_handle_cancels_within_one_step() {
    let (engine, gate) = gated(&EngineOptions::default());
    let (sink, events) = sink();
    let handle = engine.submit(request(prompt(1, 5), warm(100)), sink).expect("it is taken");
    gate.await_step();
    drop(handle);
    gate.let_step();
    let heard = listen(&events);
    assert_eq!(heard.end, Some(Err(Failure::Cancelled)));
    assert_eq!(heard.tokens.get(&0).map(Vec::len), Some(1), "the token of the step that was under way");
}

#[test]
fn a_stream_nobody_reads_is_dropped() {
    let (engine, gate) = gated(&EngineOptions::default());
    let (sink, events) = sink();
    let _handle = engine.submit(request(prompt(1, 5), warm(100)), sink).expect("it is taken");
    gate.await_step();
    drop(events);
    gate.let_step();
    // Were the first request still there, the batch of the next step would hold both.
    let (sink, events) = self::sink();
    let _other = engine.submit(request(prompt(1, 5), warm(1)), sink).expect("it is taken");
    gate.await_step();
    assert_eq!((engine.load().active, engine.load().queued), (1, 0));
    drop(gate);
    listen(&events);
}

/// Two streams run; then a third request brings the engine down.
fn bring_down(last: TokenId) -> (Engine, Vec<Heard>) {
    let engine = start();
    let mut streams = Vec::new();
    let fatal = request(vec![TokenId(4), last], warm(5));
    for request in [request(prompt(1, 5), warm(400)), request(prompt(2, 5), warm(400)), fatal] {
        let (sink, events) = sink();
        streams.push((engine.submit(request, sink).expect("it is taken"), events));
    }
    let heard = streams.iter().map(|(_, events)| listen(events)).collect();
    (engine, heard)
}

#[test]
fn a_panic_ends_every_stream_and_the_engine_says_so() {
    let (engine, heard) = bring_down(BOMB);
    assert!(heard.iter().all(|heard| heard.end == Some(Err(Failure::Panicked))));
    assert_eq!(engine.failure(), Some(Failure::Panicked));
    let (sink, _events) = sink();
    let refused = engine.submit(request(prompt(1, 5), warm(1)), sink).map(|_| ());
    assert_eq!(refused, Err(SubmitError::Ended(Failure::Panicked)));
}

#[test]
fn a_compute_error_ends_every_stream_with_its_cause() {
    let (engine, heard) = bring_down(FUSE);
    let lost = Failure::Compute(ComputeError::Lost);
    assert!(heard.iter().all(|heard| heard.end == Some(Err(lost.clone()))));
    assert_eq!(engine.failure(), Some(lost));
}

/// Panics at its first event.
struct Touchy;

impl Sink for Touchy {
    fn emit(&mut self, _: Event) -> Verdict {
        panic!("a sink that cannot take it");
    }
}

#[test]
fn a_sink_that_panics_hangs_nobody() {
    let (engine, gate) = gated(&EngineOptions::default());
    let (sink, events) = sink();
    let _handle = engine.submit(request(prompt(1, 5), warm(400)), sink).expect("it is taken");
    let _touchy = engine.submit(request(prompt(2, 5), warm(400)), Box::new(Touchy)).expect("it is taken");
    drop(gate);
    assert_eq!(listen(&events).end, Some(Err(Failure::Panicked)));
}

#[test]
fn shutdown_ends_streams_and_refuses_requests() {
    let (engine, gate) = gated(&EngineOptions::default());
    let (sink, events) = sink();
    let _handle = engine.submit(request(prompt(1, 5), warm(400)), sink).expect("it is taken");
    gate.await_step();
    drop(gate);
    engine.shutdown();
    assert_eq!(listen(&events).end, Some(Err(Failure::ShutDown)));
    let (sink, _events) = self::sink();
    let refused = engine.submit(request(prompt(1, 5), warm(1)), sink).map(|_| ());
    assert_eq!(refused, Err(SubmitError::Ended(Failure::ShutDown)));
}

#[test]
fn a_request_that_can_never_run_is_refused_at_the_door() {
    let (sink, _events) = sink();
    let empty = Request { prompt: Vec::new(), ..request(prompt(1, 5), warm(1)) };
    let refused = start().submit(empty, sink).map(|_| ());
    assert_eq!(refused, Err(SubmitError::Refused(Refusal::EmptyPrompt)));
}

#[test]
fn part_of_a_model_or_no_memory_is_no_engine() {
    let options = EngineOptions::default();
    let part = Toy::new(ROOMY).holding(LayerRange { first: 1, end: 1 });
    assert!(matches!(Engine::start(Box::new(part), &options), Err(StartError::PartOfModel { .. })));
    let bare = Toy::new(Limits { pages: 0, ..ROOMY });
    assert!(matches!(Engine::start(Box::new(bare), &options), Err(StartError::NoMemory)));
}
