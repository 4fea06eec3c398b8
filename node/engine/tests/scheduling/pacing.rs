//! The engine at the pace of a board: what rests add, and what they do not hold up.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use helixflow_engine::schedule::{Event, Failure, Stepped, Verdict};
use helixflow_engine::{Engine, EngineOptions, Pace, RequestHandle, Sink};

use crate::bench::{Heard, ROOMY, prompt, request, warm};
use crate::toy::Toy;

/// Far longer than anything here takes: a test that hangs fails instead.
const WATCHDOG: Duration = Duration::from_secs(60);
/// Longer than the watchdog waits: a rest that is not cut short fails the test.
const AGES: Duration = Duration::from_secs(2 * 60);

/// A pace that rests by a rule, and tells of each step.
struct Rule<F> {
    rest: F,
    steps: Sender<(Stepped, Duration)>,
}

impl<F: FnMut(Stepped) -> Duration + Send> Pace for Rule<F> {
    fn rest(&mut self, step: Stepped, worked: Duration) -> Duration {
        // Nobody may listen.
        let _ = self.steps.send((step, worked));
        (self.rest)(step)
    }
}

type Steps = Receiver<(Stepped, Duration)>;

fn start(rest: impl FnMut(Stepped) -> Duration + Send + 'static) -> (Engine, Steps) {
    let (steps, heard) = channel();
    let pace = Box::new(Rule { rest, steps });
    let options = EngineOptions::default();
    (Engine::start_paced(Box::new(Toy::new(ROOMY)), &options, pace).expect("it starts"), heard)
}

struct Forward(Sender<Event>);

impl Sink for Forward {
    fn emit(&mut self, event: Event) -> Verdict {
        if self.0.send(event).is_ok() { Verdict::Continue } else { Verdict::Gone }
    }
}

fn submit(engine: &Engine, tokens: u32) -> (RequestHandle, Receiver<Event>) {
    let (sender, events) = channel();
    let request = request(prompt(1, 5), warm(tokens));
    (engine.submit(request, Box::new(Forward(sender))).expect("it is taken"), events)
}

fn listen(events: &Receiver<Event>) -> Heard {
    let mut heard = Heard::default();
    while heard.end.is_none() {
        heard.note(events.recv_timeout(WATCHDOG).expect("a stream that goes on or ends"), |_| 0);
    }
    heard
}

#[test]
fn every_step_is_told_to_the_pace() {
    let (engine, steps) = start(|_| Duration::ZERO);
    let (_handle, events) = submit(&engine, 20);
    listen(&events);
    engine.shutdown();
    let steps: Vec<Stepped> = steps.iter().map(|(step, _)| step).collect();
    assert_eq!(steps.iter().map(|step| step.tokens).sum::<usize>(), 20);
    assert!(steps.iter().all(|step| step.rows >= step.tokens), "{steps:?}");
}

/// Tokens a second by the engine's own accounting, in thousandths, where each step that gives a token rests so long.
fn speed(rest: Duration) -> u64 {
    let (engine, _steps) = start(move |step| if step.tokens > 0 { rest } else { Duration::ZERO });
    let (_handle, events) = submit(&engine, 40);
    listen(&events);
    engine.load().millitokens_per_second
}

#[test]
fn the_speed_that_is_told_includes_the_rests() {
    // The toy takes no time to speak of, so rests alone make the speed: 50 and 25 tokens a second at the most. A busy
    // machine can only make that less.
    let (fast, slow) = (speed(Duration::from_millis(20)), speed(Duration::from_millis(40)));
    assert!(fast > 0 && fast <= 50_000, "{fast}");
    assert!(slow > 0 && slow <= 25_000, "{slow}");
}

#[test]
fn shutdown_ends_a_rest() {
    let (engine, steps) = start(|_| AGES);
    let (_handle, events) = submit(&engine, 400);
    steps.recv_timeout(WATCHDOG).expect("a first step");
    std::thread::scope(|scope| {
        scope.spawn(|| engine.shutdown());
        assert_eq!(listen(&events).end, Some(Err(Failure::ShutDown)));
    });
    assert_eq!(steps.iter().count(), 0, "no step is made in a rest");
}

#[test]
fn orders_are_obeyed_in_a_rest() {
    let (engine, steps) = start(|_| AGES);
    let (handle, events) = submit(&engine, 400);
    steps.recv_timeout(WATCHDOG).expect("a first step");
    drop(handle);
    assert_eq!(listen(&events).end, Some(Err(Failure::Cancelled)));
    assert!(steps.try_recv().is_err(), "the cancelled request is gone before the next step");
}

#[test]
fn a_rest_ends_by_itself() {
    let (engine, _steps) = start(|_| Duration::from_millis(1));
    let (_handle, events) = submit(&engine, 20);
    assert_eq!(listen(&events).usage().generated, 20);
}
