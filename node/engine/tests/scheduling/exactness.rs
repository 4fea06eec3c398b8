//! A stream is the same whatever happens around it.

use helixflow_engine::compute::Limits;
use helixflow_engine::kv::CacheSalt;
use helixflow_engine::schedule::{Budget, Request};
use helixflow_model::Sampling;

use crate::bench::{Bench, ROOMY, prompt, request, warm};
use crate::oracle::streams;

#[test]
fn a_stream_alone_is_what_the_definitions_give() {
    for sampling in [Sampling { max_tokens: 50, ..Sampling::default() }, warm(100)] {
        let request = request(prompt(0, 90), sampling);
        assert_eq!(Bench::roomy().run(request.clone()).streams(), streams(&request, None));
    }
}

#[test]
fn a_stream_is_the_same_among_sixteen_others() {
    let mut bench = Bench::roomy();
    let mut all = Vec::new();
    for other in 0..17_u32 {
        let sampling = if other % 3 == 0 { Sampling::default() } else { warm(20 + other) };
        let request = Request {
            seed: u64::from(other / 2),
            salt: CacheSalt(u128::from(other % 2)),
            ..request(prompt(other % 4, 20 + 17 * (other as usize % 7)), sampling)
        };
        all.push((bench.submit(request.clone()), request));
        bench.step();
    }
    bench.finish();
    for (number, request) in all {
        assert_eq!(bench.heard[&number].streams(), streams(&request, None));
    }
    bench.assert_nothing_is_held();
}

#[test]
fn a_stream_is_the_same_in_chunks_of_any_size() {
    let request = request(prompt(1, 150), warm(12));
    let expected = streams(&request, None);
    for rows in [1, 2, 3, 7, 31, 63, 64, 65, 200] {
        let limits = Limits { rows, ..ROOMY };
        let mut bench = Bench::new(limits, Budget::new(limits, 4, rows));
        assert_eq!(bench.run(request.clone()).streams(), expected, "chunks of {rows}");
    }
}

#[test]
fn a_stream_is_the_same_with_its_prefix_computed_or_found() {
    for length in [1, 63, 64, 65, 127, 128, 129, 200] {
        let mut bench = Bench::roomy();
        let request = request(prompt(2, length), warm(30));
        let computed = bench.run(request.clone());
        let found = bench.run(request.clone());
        assert_eq!(computed.usage().cached, 0);
        assert_eq!(found.usage().cached as usize, (length - 1) / 64 * 64);
        assert_eq!(found.streams(), computed.streams(), "a prompt of {length}");
        assert_eq!(found.streams(), streams(&request, None));
    }
}

#[test]
fn another_tenants_prefix_is_computed_anew() {
    let mut bench = Bench::roomy();
    let mine = request(prompt(2, 200), warm(5));
    bench.run(mine.clone());
    let theirs = bench.run(Request { salt: CacheSalt(99), ..mine.clone() });
    assert_eq!(theirs.usage().cached, 0);
    assert_eq!(theirs.streams(), streams(&mine, None));
}

#[test]
fn an_answer_is_found_again_as_part_of_the_next_prompt() {
    let mut bench = Bench::roomy();
    let first = request(prompt(3, 60), warm(100));
    let answer = bench.run(first.clone()).streams().remove(0).ids();
    let next = request([first.prompt, answer, prompt(4, 10)].concat(), warm(10));
    let heard = bench.run(next.clone());
    assert_eq!(heard.usage().cached, 128, "two full pages of prompt and answer");
    assert_eq!(heard.streams(), streams(&next, None));
}

#[test]
fn a_stream_goes_on_from_any_point_as_if_it_had_never_broken_off() {
    let whole = request(prompt(5, 70), Sampling { choices: 2, ..warm(80) });
    let expected = streams(&whole, None);
    let usage = Bench::roomy().run(whole.clone()).usage();
    for cut in [0, 1, 5, 57, 58, 59, 79] {
        // The choices had come to different points.
        let cuts = [cut, 79 - cut];
        let generated = expected.iter().zip(cuts).map(|(s, cut)| s.ids()[..cut].to_vec()).collect();
        let heard = Bench::roomy().run(Request { generated, ..whole.clone() });
        for ((stream, whole), cut) in heard.streams().iter().zip(&expected).zip(cuts) {
            assert_eq!(stream.tokens, whole.tokens[cut..], "tokens and log-probabilities after {cut}");
            assert_eq!(stream.finish, whole.finish);
        }
        assert_eq!(heard.usage().generated, usage.generated, "the bill is the same");
        assert_eq!(heard.usage().replayed, 79);
    }
}

#[test]
fn choices_share_the_prompt_and_differ_by_their_draws_alone() {
    let mut bench = Bench::roomy();
    let request = request(prompt(6, 140), Sampling { choices: 5, ..warm(10) });
    let number = bench.submit(request.clone());
    let rows = bench.finish();
    let heard = &bench.heard[&number];
    assert_eq!(heard.streams(), streams(&request, None));
    let [first, second, ..] = &heard.streams()[..] else { panic!("five choices") };
    assert_ne!(first.ids(), second.ids());
    // Two full pages are computed once, the other 12 positions by each choice, and 9 tokens are fed back.
    assert_eq!(rows, 128 + 5 * (12 + 9));
    assert_eq!((heard.usage().generated, heard.usage().prompt), (50, 140));
    bench.assert_nothing_is_held();
}
