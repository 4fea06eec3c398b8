//! Every request ends once, for the right reason.

use helixflow_engine::compute::ComputeError;
use helixflow_engine::schedule::{Failure, Request, StepError};
use helixflow_model::{FinishReason, Sampling, TokenId};

use crate::bench::{Bench, EOS, Manner, prompt, request, warm};
use crate::oracle::streams;
use crate::toy::{CONTEXT, FUSE, POISON};

/// A request whose model says, after some tokens, that it is done.
fn ending_by_itself() -> Request {
    (0..200)
        .map(|seed| Request { seed, ..request(prompt(1, 20), Sampling { ignore_eos: false, ..warm(60) }) })
        .find(|request| (5..50).contains(&streams(request, None)[0].tokens.len()))
        .expect("a seed that ends by itself")
}

#[test]
fn the_models_own_end_is_obeyed_and_not_told_as_a_token() {
    let request = ending_by_itself();
    let heard = Bench::roomy().run(request.clone());
    assert_eq!(heard.finishes[&0], FinishReason::EndOfSequence);
    assert!(heard.tokens[&0].iter().all(|chosen| chosen.token != EOS));
    assert_eq!(heard.usage().generated as usize, heard.tokens[&0].len());
}

#[test]
fn the_models_own_end_waits_for_the_least_number_of_tokens() {
    let mut request = ending_by_itself();
    let length = streams(&request, None)[0].tokens.len() as u32;
    request.sampling.min_tokens = length + 5;
    let heard = Bench::roomy().run(request.clone());
    assert!(heard.usage().generated >= length + 5);
    assert_eq!(heard.streams(), streams(&request, None));
}

#[test]
fn an_ignored_end_is_told_like_any_token() {
    let mut request = ending_by_itself();
    request.sampling.ignore_eos = true;
    let heard = Bench::roomy().run(request);
    assert_eq!(heard.finishes[&0], FinishReason::Length);
    assert!(heard.tokens[&0].iter().any(|chosen| chosen.token == EOS));
}

#[test]
fn a_choice_ends_by_its_budget_or_by_the_context() {
    let heard = Bench::roomy().run(request(prompt(1, 20), warm(7)));
    assert_eq!((heard.finishes[&0], heard.usage().generated), (FinishReason::Length, 7));
    let heard = Bench::roomy().run(request(prompt(1, CONTEXT - 3), warm(7)));
    assert_eq!((heard.finishes[&0], heard.usage().generated), (FinishReason::Length, 3));
}

#[test]
fn a_stop_string_ends_its_choice_in_that_very_step() {
    let mut bench = Bench::roomy();
    let request = request(prompt(1, 20), warm(60));
    let number = bench.submit_to(Manner::StopAfter(4), request.clone());
    for _ in 0..4 {
        bench.step();
    }
    assert_eq!(bench.heard[&number].streams(), streams(&request, Some(4)));
    bench.assert_nothing_is_held();
}

#[test]
fn a_continuation_of_what_is_complete_ends_at_once() {
    let request = request(prompt(1, 20), warm(7));
    let generated = vec![streams(&request, None)[0].ids()];
    let mut bench = Bench::roomy();
    let number = bench.submit(Request { generated, ..request });
    assert_eq!(bench.finish(), 0, "nothing is computed");
    assert_eq!(bench.heard[&number].finishes[&0], FinishReason::Length);
    assert_eq!(bench.heard[&number].usage().generated, 7);
}

#[test]
fn a_receiver_that_goes_away_frees_every_choice_in_that_step() {
    let mut bench = Bench::roomy();
    let choices = Sampling { choices: 3, ..warm(60) };
    let number = bench.submit_to(Manner::GoneAfter(2), request(prompt(1, 100), choices));
    while bench.scheduler.has_work() {
        bench.step();
    }
    assert_eq!(bench.heard[&number].tokens[&0].len(), 2);
    assert_eq!(bench.heard[&number].end, None, "nobody listens");
    bench.assert_nothing_is_held();
}

#[test]
fn a_cancelled_request_frees_its_memory_at_once() {
    let mut bench = Bench::roomy();
    let number = bench.submit(request(prompt(1, 200), Sampling { choices: 3, ..warm(60) }));
    for _ in 0..6 {
        bench.step();
    }
    assert!(bench.load().kv_pages_free < bench.load().kv_pages_total);
    assert!(bench.scheduler.cancel(number));
    bench.assert_nothing_is_held();
    assert!(!bench.scheduler.cancel(number), "it is gone");
}

#[test]
fn logits_that_are_not_numbers_fail_their_request_alone() {
    let mut bench = Bench::roomy();
    let good = request(prompt(1, 20), warm(10));
    let healthy = bench.submit(good.clone());
    let sick = bench.submit(request(vec![TokenId(5), POISON], warm(10)));
    bench.finish();
    assert!(matches!(bench.heard[&sick].end, Some(Err(Failure::Logits(_)))));
    assert_eq!(bench.heard[&healthy].streams(), streams(&good, None));
    bench.assert_nothing_is_held();
}

#[test]
fn a_step_that_cannot_be_computed_is_an_error() {
    let mut bench = Bench::roomy();
    bench.submit(request(vec![FUSE], warm(10)));
    assert_eq!(bench.try_step(), Err(StepError::Compute(ComputeError::Lost)));
}
