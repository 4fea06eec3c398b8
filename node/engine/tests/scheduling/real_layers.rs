//! On real layers a stream is the same, tokens and log-probabilities to the bit: alone or among sixteen others, in
//! chunks of any size, with its prefix computed or found, continued, at 1 or 2 threads, for any split of layers, and
//! with each kernel set that the machine can run.

use std::collections::{BTreeMap, BTreeSet};

use helixflow_engine::KernelSet;
use helixflow_engine::compute::Compute;
use helixflow_engine::compute::cpu::CpuOptions;
use helixflow_engine::kv::CacheSalt;
use helixflow_engine::schedule::{Budget, Request};
use helixflow_model::Sampling;

use crate::bench::{Bench, prompt, request, warm};
use crate::oracle::Stream;
use crate::synthetic::{LAYERS, split, whole};

const OPTIONS: CpuOptions =
    CpuOptions { threads: 1, kernels: KernelSet::Scalar, rows: 96, logit_rows: 32, pages: 96 };

/// Seventeen, some with common prefixes, greedy and warm, of one and of three choices.
fn requests() -> Vec<Request> {
    let one = |i: u32| {
        let sampling = match i % 4 {
            0 => Sampling { max_tokens: 24, logprobs: Some(2), ..Sampling::default() },
            1 => Sampling { choices: 3, ..warm(9) },
            _ => warm(16),
        };
        let family = i % 3;
        Request { seed: u64::from(i), ..request(prompt(family, 3 + 23 * (i as usize % 8)), sampling) }
    };
    (0..17).map(one).collect()
}

/// Each alone, on scalar kernels, one thread, whole prompts: what all others must equal.
fn reference() -> Vec<Vec<Stream>> {
    let mut bench = Bench::on(whole(&OPTIONS), budget(&OPTIONS, 96));
    let alone = |(i, request): (usize, Request)| {
        // A salt of its own keeps it from finding another's prefix.
        let heard = bench.run(Request { salt: CacheSalt(i as u128), ..request });
        assert_eq!(heard.usage().cached, 0);
        heard.streams()
    };
    requests().into_iter().enumerate().map(alone).collect()
}

fn budget(options: &CpuOptions, prefill_rows: usize) -> Budget {
    Budget { sequences: 32, rows: options.rows, prefill_rows }
}

/// All of them together, twice: the second time with their prefixes in the cache.
fn assert_same(what: &str, compute: Box<dyn Compute>, budget: Budget, expected: &[Vec<Stream>]) {
    let mut bench = Bench::on(compute, budget);
    let mut cached: BTreeMap<&str, u32> = BTreeMap::new();
    for round in ["computed", "found"] {
        let numbers: Vec<_> = requests().into_iter().map(|request| bench.submit(request)).collect();
        bench.finish();
        for (i, number) in numbers.iter().enumerate() {
            let heard = &bench.heard[number];
            assert_eq!(heard.streams(), expected[i], "{what}: request {i}, prefix {round}");
            *cached.entry(round).or_default() += heard.usage().cached;
        }
    }
    assert!(cached["found"] > cached["computed"], "the second round found no prefix: {cached:?}");
    bench.assert_nothing_is_held();
}

#[test]
fn any_kernels_threads_chunks_and_split_of_layers_give_the_same_streams() {
    let expected = reference();
    let said: BTreeSet<_> = expected.iter().flatten().flat_map(Stream::ids).collect();
    assert!(said.len() > 100, "the made-up weights say the same thing again and again: {said:?}");
    for kernels in KernelSet::available() {
        for threads in [1, 2] {
            let options = CpuOptions { kernels, threads, ..OPTIONS };
            let what = format!("{kernels}, {threads} threads");
            assert_same(&what, whole(&options), budget(&options, 40), &expected);
        }
    }
    let fast = CpuOptions { kernels: KernelSet::best(), ..OPTIONS };
    for prefill_rows in [1, 7, 64] {
        let what = format!("chunks of {prefill_rows}");
        assert_same(&what, whole(&fast), budget(&fast, prefill_rows), &expected);
    }
    for at in 1..LAYERS {
        assert_same(&format!("split at layer {at}"), split(at, &fast), budget(&fast, 40), &expected);
    }
}

#[test]
fn a_stream_goes_on_from_any_point_with_the_same_bits() {
    let fast = CpuOptions { kernels: KernelSet::best(), ..OPTIONS };
    let whole_request = request(prompt(1, 70), warm(40));
    let all = Bench::on(whole(&fast), budget(&fast, 96)).run(whole_request.clone()).streams();
    for cut in [1, 20, 39] {
        let generated = vec![all[0].ids()[..cut].to_vec()];
        let mut bench = Bench::on(whole(&fast), budget(&fast, 5));
        let heard = bench.run(Request { generated, ..whole_request.clone() });
        assert_eq!(heard.tokens[&0], all[0].tokens[cut..]);
    }
}
