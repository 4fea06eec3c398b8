//! The engine that leaps, beside one that goes step by step and moves every sequence by hand.

use proptest::prelude::*;

use super::*;

const SPEC: EngineSpec = EngineSpec {
    sequences: 4,
    rows: 24,
    prefill_rows: 8,
    queue: 6,
    pages: 30,
    page_positions: 4,
    step: StepTime {
        generating: Vec::new(),
        weights: 0.008,
        prompt_row: 0.001,
        prompt_position: 0.000_01,
        context_position: 0.000_02,
    },
};

fn spec() -> EngineSpec {
    let step = StepTime { generating: StepTime::linear(0.010, 0.002, 4), ..SPEC.step };
    EngineSpec { step, ..SPEC }
}

/// A sequence of the plain engine: what is computed of its prompt, and what is generated.
#[derive(Clone, Debug)]
struct Plain {
    request: Request,
    computed: u32,
    generated: u32,
    first: f64,
}

/// Runs requests (in order of arrival) to their ends, a step at a time.
fn plainly(spec: &EngineSpec, requests: &[Request], speed: f64) -> (Vec<Done>, usize) {
    let (mut now, mut next, mut refused) = (0.0, 0, 0);
    let (mut waiting, mut running, mut done) = (VecDeque::new(), Vec::<Plain>::new(), Vec::new());
    loop {
        while let Some(request) = requests.get(next).filter(|request| request.arrived <= now) {
            next += 1;
            if waiting.len() < spec.queue && pages(spec, request) <= spec.pages {
                waiting.push_back(*request);
            } else {
                refused += 1;
            }
        }
        while let Some(request) = waiting.front() {
            let held: u32 = running.iter().map(|one| pages(spec, &one.request)).sum();
            if running.len() >= spec.sequences || held + pages(spec, request) > spec.pages {
                break;
            }
            running.push(Plain { request: *request, computed: 0, generated: 0, first: 0.0 });
            waiting.pop_front();
        }
        if running.is_empty() {
            let Some(request) = requests.get(next) else { return (done, refused) };
            now = request.arrived;
            continue;
        }
        let spans = plain_spans(spec, &running);
        let work = plain_time(spec, &running, &spans);
        // Those who arrive during the step join the queue at its end, in the order of arrival.
        now += work / speed;
        for (one, rows) in running.iter_mut().zip(&spans) {
            if one.computed == one.request.prompt {
                one.generated += 1;
            } else {
                one.computed += rows;
                if one.computed == one.request.prompt {
                    (one.generated, one.first) = (1, now);
                }
            }
        }
        let (over, left): (Vec<Plain>, Vec<Plain>) =
            running.into_iter().partition(|one| one.generated >= one.request.answer);
        done.extend(over.into_iter().map(|one| Done { request: one.request, first: one.first, last: now }));
        running = left;
    }
}

fn plain_spans(spec: &EngineSpec, running: &[Plain]) -> Vec<u32> {
    let generating = running.iter().filter(|one| one.computed == one.request.prompt).count();
    let mut left = spec.rows - generating;
    if generating > 0 {
        left = left.min(spec.prefill_rows);
    }
    let mut left = left as u32;
    let rows = |one: &Plain| {
        let pending = one.request.prompt - one.computed;
        let rows = pending.min(left);
        left -= rows;
        if pending == 0 { 1 } else { rows }
    };
    running.iter().map(rows).collect()
}

fn plain_time(spec: &EngineSpec, running: &[Plain], spans: &[u32]) -> f64 {
    let (mut time, mut generating) = (0.0, 0);
    for (one, rows) in running.iter().zip(spans) {
        if one.computed == one.request.prompt {
            generating += 1;
            time += spec.step.context_position * f64::from(one.request.prompt + one.generated);
        } else {
            let positions = (0..*rows).map(|row| f64::from(one.computed + row + 1));
            time += positions.map(|at| spec.step.prompt_row + spec.step.prompt_position * at).sum::<f64>();
        }
    }
    time + spec.step.generating[generating]
}

/// Runs them with leaps, looking in every `tick` seconds.
fn leaping(spec: &EngineSpec, requests: &[Request], speed: f64, tick: f64) -> (Vec<Done>, usize) {
    let (mut engine, mut done, mut refused) = (Engine::new(spec, 0.0), Vec::new(), 0);
    let mut now = 0.0;
    for request in requests {
        while now + tick < request.arrived {
            now += tick;
            engine.advance(spec, now, speed, &mut |one| done.push(one));
        }
        now = request.arrived;
        engine.advance(spec, now, speed, &mut |one| done.push(one));
        refused += usize::from(!engine.submit(spec, *request));
    }
    while engine.held() > 0 {
        now += tick;
        engine.advance(spec, now, speed, &mut |one| done.push(one));
    }
    (done, refused)
}

fn sorted(mut done: Vec<Done>) -> Vec<(f64, f64, f64)> {
    done.sort_by(|one, other| one.request.arrived.total_cmp(&other.request.arrived));
    done.into_iter().map(|one| (one.request.arrived, one.first, one.last)).collect()
}

proptest! {
    #[test]
    fn leaping_gives_what_going_step_by_step_gives(
        asked in prop::collection::vec((0.0f64..0.4, 2u32..60, 1u32..40), 1..40),
        speed in 0.3f64..1.0,
        tick in 0.003f64..2.0,
    ) {
        // A queue with room for all: when a request is refused depends on when the queue is looked at.
        let spec = EngineSpec { queue: 1000, ..spec() };
        let mut now = 0.0;
        let requests: Vec<Request> = asked.into_iter().map(|(gap, prompt, answer)| {
            now += gap;
            Request { arrived: now, prompt, answer }
        }).collect();
        let ((plain, refused), (leapt, also)) = (plainly(&spec, &requests, speed), leaping(&spec, &requests, speed, tick));
        prop_assert_eq!(refused, also);
        let (plain, leapt) = (sorted(plain), sorted(leapt));
        prop_assert_eq!(plain.len(), leapt.len());
        for (one, other) in plain.into_iter().zip(leapt) {
            prop_assert!((one.1 - other.1).abs() < 1e-6 && (one.2 - other.2).abs() < 1e-6, "{one:?} {other:?}");
        }
    }

    #[test]
    fn every_request_ends_waits_or_is_refused_and_every_page_comes_back(
        asked in prop::collection::vec((0.0f64..0.05, 2u32..60, 1u32..40), 1..80),
    ) {
        let spec = spec();
        let (mut engine, mut done, mut refused, mut tokens, mut now) = (Engine::new(&spec, 0.0), 0, 0, 0, 0.0);
        for (n, (gap, prompt, answer)) in asked.iter().enumerate() {
            now += gap;
            engine.advance(&spec, now, 0.8, &mut |one| (done, tokens) = (done + 1, tokens + u64::from(one.request.answer)));
            refused += usize::from(!engine.submit(&spec, Request { arrived: now, prompt: *prompt, answer: *answer }));
            prop_assert_eq!(done + refused + engine.held(), n + 1);
        }
        engine.advance(&spec, now + 1e4, 0.8, &mut |one| (done, tokens) = (done + 1, tokens + u64::from(one.request.answer)));
        prop_assert_eq!((done + refused, engine.held()), (asked.len(), 0));
        prop_assert_eq!((engine.tokens(), engine.load(&spec).kv_pages_free, engine.context), (tokens, spec.pages, 0));
    }
}

#[test]
fn a_slower_clock_stretches_every_time_alike() {
    let request = Request { arrived: 0.0, prompt: 20, answer: 30 };
    let alone = |speed| leaping(&spec(), &[request], speed, 0.1).0[0];
    let (fast, slow) = (alone(1.0), alone(0.5));
    assert!((slow.first / fast.first - 2.0).abs() < 1e-9 && (slow.last / fast.last - 2.0).abs() < 1e-9);
}

#[test]
fn nothing_moves_while_the_board_is_off() {
    let (spec, mut done) = (spec(), 0);
    let mut engine = Engine::new(&spec, 0.0);
    engine.submit(&spec, Request { arrived: 0.0, prompt: 4, answer: 4 });
    engine.advance(&spec, 100.0, 0.0, &mut |_| done += 1);
    assert_eq!((done, engine.held(), engine.take_activity().busy), (0, 1, 0.0));
    engine.advance(&spec, 200.0, 1.0, &mut |_| done += 1);
    assert_eq!((done, engine.held()), (1, 0));
}

#[test]
fn generating_waits_for_memory_and_computing_prompts_does_not() {
    let activity = |prompt, answer| {
        let spec = spec();
        let mut engine = Engine::new(&spec, 0.0);
        assert!(engine.submit(&spec, Request { arrived: 0.0, prompt, answer }));
        engine.advance(&spec, 0.04, 1.0, &mut |_| {});
        engine.take_activity()
    };
    let (generating, prompting) = (activity(2, 20), activity(100, 2));
    assert!((generating.busy - 1.0).abs() < 1e-9 && (prompting.busy - 1.0).abs() < 1e-9);
    assert!(generating.waits > 0.6 && prompting.waits < 0.4, "{generating:?} {prompting:?}");
}
