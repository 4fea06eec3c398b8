//! KV memory has a bound, and whatever runs can finish.

use helixflow_engine::compute::Limits;
use helixflow_engine::schedule::{Budget, Refusal, RequestNumber};
use helixflow_model::Sampling;

use crate::bench::{Bench, ROOMY, prompt, request, warm};
use crate::oracle::streams;

const TIGHT: Limits = Limits { pages: 4, ..ROOMY };

#[test]
fn requests_wait_while_memory_is_full_and_then_run() {
    let mut bench = Bench::new(TIGHT, Budget::new(TIGHT, 8, 16));
    let requests: Vec<_> = (0..6).map(|family| request(prompt(family, 70), warm(50))).collect();
    let numbers: Vec<_> = requests.iter().map(|request| bench.submit(request.clone())).collect();
    bench.step();
    assert_eq!((bench.load().active, bench.load().queued), (2, 4), "two pages each");
    assert_eq!(bench.load().kv_pages_free, 0);
    bench.finish();
    for (number, request) in numbers.iter().zip(&requests) {
        assert_eq!(bench.heard[number].streams(), streams(request, None));
    }
    bench.assert_nothing_is_held();
}

#[test]
fn more_choices_than_memory_take_turns() {
    let mut bench = Bench::new(TIGHT, Budget::new(TIGHT, 8, 16));
    let request = request(prompt(1, 130), Sampling { choices: 5, ..warm(40) });
    let heard = bench.run(request.clone());
    assert_eq!(heard.streams(), streams(&request, None));
    bench.assert_nothing_is_held();
}

#[test]
fn a_kept_prefix_gives_way_when_its_memory_is_wanted() {
    let mut bench = Bench::new(TIGHT, Budget::new(TIGHT, 8, 16));
    let kept = request(prompt(1, 200), warm(10));
    bench.run(kept.clone());
    bench.run(request(prompt(2, 200), warm(10)));
    let heard = bench.run(kept.clone());
    assert_eq!(heard.usage().cached, 0);
    assert_eq!(heard.streams(), streams(&kept, None));
}

#[test]
fn a_request_that_can_never_fit_is_refused_at_once() {
    let mut bench = Bench::new(TIGHT, Budget::new(TIGHT, 8, 16));
    let refused = bench.scheduler.submit(RequestNumber(0), request(prompt(1, 200), warm(60)));
    assert_eq!(refused, Err(Refusal::NeverFits { needed: 5, total: 4 }));
    assert!(!bench.scheduler.has_work());
}
