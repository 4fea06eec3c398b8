//! On the default model a request's answer, tokens and log-probabilities to the bit, depends on nothing but the request:
//! not on sixteen others beside it, on chunks of its prompt, on a prefix found in the cache, on the number of threads,
//! on the split of layers, or on the instructions of the kernels.
//!
//! `make verify-engine` takes every split in two and runs the scalar kernels on every request.
#![expect(clippy::print_stdout, reason = "a test reports what it compared")]

use anyhow::{Context, Result};
use helixflow_engine::compute::cpu::CpuOptions;
use helixflow_engine::gguf::GgufFile;
use helixflow_engine::kv::CacheSalt;
use helixflow_engine::schedule::Request;
use helixflow_engine::{Engine, EngineOptions, KernelSet};
use helixflow_model::{Sampling, TokenId};
use helixflow_tests::answers::{Answer, answers};
use helixflow_tests::pipeline::Pipeline;
use helixflow_tests::{default_model, full_counts};
use helixflow_text::Tokenizer;

/// One, and sixteen others.
const REQUESTS: usize = 17;
/// Tokens of each answer.
const TOKENS: u32 = 10;
/// Fewer steps than this, for five of prompts and one for each token: the answers grow side by side.
const MOST_STEPS: u64 = 24;
const LAYERS: u32 = 30;
/// Requests that the scalar kernels answer in `make test`: they take a second for every few tokens.
const SCALAR_SAMPLE: usize = 2;

/// Requests of all kinds: prompts from the texts, of 4 to 148 tokens, each second one sampled.
fn requests() -> Result<Vec<Request>> {
    let tokenizer = Tokenizer::new(&default_model::vocabulary(default_model::open()?.metadata())?)?;
    let texts = default_model::texts(&tokenizer)?;
    let request = |number: usize| {
        let tokens = &texts[number % texts.len()].tokens;
        let temperature = if number.is_multiple_of(2) { 0.0 } else { 0.9 };
        Request {
            prompt: tokens[..4 + 9 * number].to_vec(),
            generated: Vec::new(),
            sampling: Sampling {
                temperature,
                max_tokens: TOKENS,
                ignore_eos: true,
                logprobs: Some(3),
                ..Sampling::default()
            },
            seed: number as u64,
            eos: vec![TokenId(2)],
            salt: CacheSalt::default(),
            priority: 0,
        }
    };
    Ok((0..REQUESTS).map(request).collect())
}

fn options(kernels: KernelSet, threads: usize, rows: usize) -> CpuOptions {
    CpuOptions { kernels, threads, rows, ..CpuOptions::default() }
}

/// An engine that fills whole steps with prompts, so that all requests soon generate side by side.
fn start(file: &GgufFile, cuts: &[u32], options: &CpuOptions) -> Result<Engine> {
    let model = Pipeline::load(file, cuts, options)?;
    let engine =
        EngineOptions { sequences: REQUESTS, prefill_rows: options.rows, ..EngineOptions::default() };
    Ok(Engine::start(Box::new(model), &engine)?)
}

/// How a run went.
struct Run {
    /// Prompt tokens found in the cache.
    cached: u32,
    steps: u64,
}

/// Each request alone on an engine of one thread, its prompt in one piece: what all else must equal.
fn alone(file: &GgufFile, requests: &[Request]) -> Result<Vec<Answer>> {
    let engine = start(file, &[0, LAYERS], &options(KernelSet::best(), 1, 256))?;
    let mut alone = Vec::new();
    for (number, request) in requests.iter().enumerate() {
        // A salt of its own keeps it from finding another's prefix.
        let request = Request { salt: CacheSalt(number as u128), ..request.clone() };
        let answer = answers(&engine, &[request])?.remove(0);
        assert_eq!(answer.usage.cached, 0);
        alone.push(answer);
    }
    Ok(alone)
}

/// Runs all requests together and compares.
fn same(engine: &Engine, requests: &[Request], expected: &[Answer], what: &str) -> Result<Run> {
    let before = engine.progress().steps;
    let together = answers(engine, requests).with_context(|| what.to_owned())?;
    for (number, (answer, expected)) in together.iter().zip(expected).enumerate() {
        assert_eq!(answer.events, expected.events, "{what}: request {number}");
    }
    let steps = engine.progress().steps - before;
    let cached = together.iter().map(|answer| answer.usage.cached).sum();
    println!("{what}: {} answers are the same, in {steps} steps, {cached} tokens cached", requests.len());
    Ok(Run { cached, steps })
}

#[test]
fn an_answer_depends_on_nothing_but_its_request() -> Result<()> {
    let (file, requests) = (default_model::open()?, requests()?);
    let expected = alone(&file, &requests)?;
    for set in KernelSet::available() {
        let sample = if set == KernelSet::Scalar && !full_counts() { SCALAR_SAMPLE } else { REQUESTS };
        let engine = start(&file, &[0, LAYERS], &options(set, 2, 256))?;
        let run = same(&engine, &requests[..sample], &expected, &format!("{set} kernels, 2 threads"))?;
        assert!(run.steps < MOST_STEPS, "{} steps: not side by side", run.steps);
    }
    let chunks = start(&file, &[0, LAYERS], &options(KernelSet::best(), 1, 23))?;
    let computed = same(&chunks, &requests, &expected, "chunks of at most 23 rows, 1 thread")?;
    let found = same(&chunks, &requests, &expected, "prefixes from the cache")?;
    assert!(found.cached > computed.cached, "the second round found no more prefixes than the first");
    Ok(())
}

#[test]
fn an_answer_does_not_depend_on_the_split_of_layers() -> Result<()> {
    let (file, requests) = (default_model::open()?, requests()?);
    let expected = alone(&file, &requests)?;
    let mut splits = vec![vec![0, 7, LAYERS], vec![0, 1, 29, LAYERS]];
    if full_counts() {
        splits.extend((1..LAYERS).map(|cut| vec![0, cut, LAYERS]));
        splits.push((0..=LAYERS).collect());
    }
    for cuts in splits {
        let engine = start(&file, &cuts, &options(KernelSet::best(), 2, 64))?;
        same(&engine, &requests, &expected, &format!("layers cut at {cuts:?}"))?;
    }
    Ok(())
}
