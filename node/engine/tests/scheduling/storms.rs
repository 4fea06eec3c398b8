//! Random arrivals, cancellations and receivers: nothing leaks, every request ends exactly once, every stream is
//! right.

use std::collections::BTreeMap;

use helixflow_engine::compute::Limits;
use helixflow_engine::kv::CacheSalt;
use helixflow_engine::schedule::{Budget, Request, RequestNumber};
use helixflow_model::Sampling;
use proptest::prelude::*;

use crate::bench::{Bench, Manner, prompt, request, warm};
use crate::oracle::streams;

/// Pages enough for any one choice of the requests below.
const LEAST_PAGES: usize = 4;

#[derive(Clone, Debug)]
struct Arrival {
    /// Steps made before it comes.
    pause: usize,
    request: Request,
    manner: Manner,
    /// Steps after which it is cancelled.
    cancel: Option<usize>,
}

fn sampling() -> impl Strategy<Value = Sampling> {
    (1_u32..40, 1_u32..4, any::<bool>(), any::<bool>()).prop_map(
        |(max_tokens, choices, greedy, ignore_eos)| {
            let base = if greedy { Sampling { max_tokens, ..Sampling::default() } } else { warm(max_tokens) };
            Sampling { choices, ignore_eos, logprobs: None, ..base }
        },
    )
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let manner = prop_oneof![
        4 => Just(Manner::Patient),
        1 => (1_usize..20).prop_map(Manner::StopAfter),
        1 => (1_usize..20).prop_map(Manner::GoneAfter),
    ];
    let cancel = prop_oneof![4 => Just(None), 1 => (0_usize..30).prop_map(Some)];
    let shape = (0_u32..3, 1_usize..200, 0_u8..2, 0_u128..2, any::<u64>());
    (0_usize..6, shape, sampling(), manner, cancel).prop_map(|(pause, shape, sampling, manner, cancel)| {
        let (family, length, priority, salt, seed) = shape;
        let salt = CacheSalt(salt);
        let request = Request { priority, salt, seed, ..request(prompt(family, length), sampling) };
        Arrival { pause, request, manner, cancel }
    })
}

/// A storm in progress.
struct Storm {
    bench: Bench,
    cancels: BTreeMap<usize, Vec<RequestNumber>>,
    steps: usize,
}

impl Storm {
    fn step(&mut self) {
        self.bench.step();
        self.steps += 1;
        for number in self.cancels.remove(&self.steps).unwrap_or_default() {
            self.bench.scheduler.cancel(number);
        }
    }
}

/// What a request must have heard, given how it was treated.
fn assert_ended_rightly(bench: &Bench, number: RequestNumber, arrival: &Arrival) {
    let heard = &bench.heard[&number];
    let stop = if let Manner::StopAfter(stop) = arrival.manner { Some(stop) } else { None };
    let whole = streams(&arrival.request, stop);
    for (choice, tokens) in &heard.tokens {
        assert!(whole[*choice as usize].tokens.starts_with(tokens), "a wrong token");
    }
    match &heard.end {
        Some(end) => {
            assert_eq!(heard.streams(), whole);
            let generated: usize = whole.iter().map(|stream| stream.tokens.len()).sum();
            assert_eq!(end.as_ref().map(|usage| usage.generated as usize), Ok(generated));
        }
        None => {
            let gone = matches!(arrival.manner, Manner::GoneAfter(_));
            assert!(gone || arrival.cancel.is_some(), "a request without an end");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_leaks_and_every_stream_is_right(
        arrivals in prop::collection::vec(arrival(), 1..24),
        pages in LEAST_PAGES..24,
        rows in 1_usize..80,
        sequences in 1_usize..20,
        prefill_rows in 1_usize..40,
    ) {
        let limits = Limits { rows, logit_rows: 16, pages };
        let bench = Bench::new(limits, Budget::new(limits, sequences, prefill_rows));
        let mut storm = Storm { bench, cancels: BTreeMap::new(), steps: 0 };
        let mut numbers = Vec::new();
        for arrival in &arrivals {
            (0..arrival.pause).for_each(|_| storm.step());
            let number = storm.bench.submit_to(arrival.manner, arrival.request.clone());
            if let Some(after) = arrival.cancel {
                storm.cancels.entry(storm.steps + after + 1).or_default().push(number);
            }
            numbers.push(number);
        }
        while storm.bench.scheduler.has_work() {
            storm.step();
        }
        for (number, arrival) in numbers.into_iter().zip(&arrivals) {
            assert_ended_rightly(&storm.bench, number, arrival);
        }
        storm.bench.assert_nothing_is_held();
    }
}
