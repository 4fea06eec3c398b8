//! Who goes first, and who never has to wait long.

use helixflow_engine::compute::Limits;
use helixflow_engine::schedule::{Budget, Request};

use crate::bench::{Bench, ROOMY, prompt, request, warm};

#[test]
fn a_running_stream_gets_a_token_in_every_step_of_a_long_prefill() {
    let mut bench = Bench::new(ROOMY, Budget::new(ROOMY, 4, 8));
    bench.submit(request(prompt(1, 5), warm(200)));
    bench.step();
    bench.submit(request(prompt(2, 400), warm(5)));
    for _ in 0..400 / 8 {
        let stepped = bench.step();
        assert!(stepped.tokens >= 1, "the running stream was left out");
        assert!(stepped.rows <= 1 + 8, "a step of {} rows keeps the stream waiting", stepped.rows);
    }
    assert_eq!(bench.load().prefill_backlog, 0);
}

#[test]
fn requests_join_and_leave_at_every_step() {
    let mut bench = Bench::roomy();
    for arrival in 0..10 {
        bench.submit(request(prompt(arrival, 5), warm(3)));
        bench.step();
        assert_eq!(bench.load().active, arrival.min(1) + 1, "three tokens take three steps");
    }
}

#[test]
fn a_higher_priority_overtakes_those_that_wait() {
    let mut bench = Bench::new(ROOMY, Budget::new(ROOMY, 1, 8));
    let running = bench.submit(request(prompt(1, 5), warm(5)));
    bench.step();
    let low = bench.submit(request(prompt(2, 5), warm(5)));
    let high = bench.submit(Request { priority: 1, ..request(prompt(3, 5), warm(5)) });
    while bench.heard[&high].end.is_none() {
        bench.step();
    }
    assert!(bench.heard[&running].end.is_some(), "whoever runs is not thrown out");
    assert!(bench.heard[&low].tokens.is_empty());
}

#[test]
fn a_large_request_is_not_overtaken_by_small_ones() {
    let limits = Limits { pages: 4, ..ROOMY };
    let mut bench = Bench::new(limits, Budget::new(limits, 8, 8));
    bench.submit(request(prompt(1, 5), warm(30)));
    bench.step();
    let large = bench.submit(request(prompt(2, 200), warm(10)));
    let small = bench.submit(request(prompt(3, 5), warm(3)));
    while bench.heard[&large].tokens.is_empty() {
        assert!(bench.heard[&small].tokens.is_empty(), "a page for the small one delays the large one");
        bench.step();
    }
    bench.finish();
    bench.assert_nothing_is_held();
}
