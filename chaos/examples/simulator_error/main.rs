//! `make bench-simulator`: the simulated engine beside the real one, under the same requests.
//!
//! ```text
//! simulator_error MODEL.gguf [--threads N] [--cpu-clock] [--requests N] [--output FILE.json]
//! ```
//! The real engine's scheduler and layers answer a calibration run, from which the step times of the engine model are
//! fitted; then both answer another run, and their throughput, time to first token and time per token are compared. Time
//! stands still between steps: what a step took is measured and added up, so that nothing but the engine counts. With
//! `--cpu-clock` that is the time on the CPU of the only thread, for machines that others keep busy.
#![expect(clippy::print_stdout, reason = "a benchmark speaks on its terminal")]
#![expect(clippy::disallowed_methods, reason = "it measures real time and writes a real file")]

mod calibration;
mod real;

use std::error::Error;
use std::path::{Path, PathBuf};

use helixflow_engine::compute::Compute;
use helixflow_engine::compute::cpu::{CpuModel, CpuOptions, Hyperparameters};
use helixflow_engine::gguf::GgufFile;
use helixflow_simulator::{Arrival, Arrivals, Curve, Done, Engine, EngineSpec, Lengths, Request, Requests};

use calibration::fit;
use real::{Clock, Real};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Short prompts and answers: a run takes some minutes.
const REQUESTS: Requests = Requests {
    prompt: Lengths { median: 60.0, sigma: 0.6, most: 300 },
    answer: Lengths { median: 40.0, sigma: 0.6, most: 160 },
};
/// Sequences and prompt rows beside them, as the engine has them unless told otherwise.
const SEQUENCES: usize = 16;
const PREFILL_ROWS: usize = 32;
/// Loads of the calibration run: from idle to a full batch, so that every size of it is seen.
const CALIBRATED_AT: [f64; 2] = [0.4, 1.1];
/// Load of the run that is compared.
const COMPARED_AT: f64 = 0.75;
/// The error that is aimed at.
const GOAL: f64 = 0.08;
/// Seeds of the runs: another one for what is compared.
const SEEDS: [u64; 3] = [1, 2, 3];

struct Arguments {
    model: PathBuf,
    threads: usize,
    clock: Clock,
    requests: usize,
    output: Option<PathBuf>,
}

fn main() -> Outcome<()> {
    let arguments = arguments()?;
    let file = GgufFile::open(&arguments.model)?;
    let options = CpuOptions { threads: arguments.threads, ..CpuOptions::default() };
    let layers = Hyperparameters::read(&file)?.all_layers();
    let model = CpuModel::load(&file, layers, &options, &mut |_, _| {})?;
    let limits = model.limits();
    let mut real = Real::new(model, SEQUENCES, PREFILL_ROWS, arguments.clock);
    let full = real.requests_a_second_when_full(&REQUESTS)?;
    println!("a full batch answers {full:.2} requests a second on {} threads", arguments.threads);

    for (load, seed) in CALIBRATED_AT.into_iter().zip(SEEDS) {
        real.answer(&recorded(full * load, arguments.requests, seed))?;
    }
    let step = fit(&real.take_steps(), SEQUENCES)
        .ok_or("the calibration run tells too little: ask for more --requests")?;
    println!(
        "step time, ms, by sequences: {:.2?}",
        step.generating.iter().map(|s| s * 1e3).collect::<Vec<_>>()
    );
    let spec = EngineSpec {
        sequences: SEQUENCES,
        rows: limits.rows,
        prefill_rows: PREFILL_ROWS,
        queue: usize::MAX,
        pages: u32::try_from(limits.pages)?,
        page_positions: 64,
        step,
    };
    let trace = recorded(full * COMPARED_AT, arguments.requests, SEEDS[2]);
    let measured = figures(&real.answer(&trace)?);
    let simulated = figures(&simulate(&spec, &trace));
    report(measured, simulated, arguments.output.as_deref())
}

fn arguments() -> Outcome<Arguments> {
    let mut words = std::env::args().skip(1);
    let usage =
        "usage: simulator_error MODEL.gguf [--threads N] [--cpu-clock] [--requests N] [--output FILE.json]";
    let model = words.next().ok_or(usage)?.into();
    let mut arguments = Arguments { model, threads: 2, clock: Clock::Wall, requests: 200, output: None };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--cpu-clock" => (arguments.clock, arguments.threads) = (Clock::Thread, 1),
            "--threads" => arguments.threads = words.next().ok_or(usage)?.parse()?,
            "--requests" => arguments.requests = words.next().ok_or(usage)?.parse()?,
            "--output" => arguments.output = Some(words.next().ok_or(usage)?.into()),
            _ => return Err(usage.into()),
        }
    }
    Ok(arguments)
}

/// Requests of a seed at a rate.
fn recorded(rate: f64, requests: usize, seed: u64) -> Vec<Arrival> {
    let steady = Curve(vec![(0.0, 1.0)]);
    Arrivals::new(&steady, &REQUESTS, rate, 0.0, seed).take(requests).collect()
}

fn simulate(spec: &EngineSpec, trace: &[Arrival]) -> Vec<Done> {
    let (mut engine, mut done) = (Engine::new(spec, 0.0), Vec::new());
    for arrival in trace {
        engine.advance(spec, arrival.at, 1.0, &mut |one| done.push(one));
        engine.submit(spec, Request { arrived: arrival.at, prompt: arrival.prompt, answer: arrival.answer });
    }
    engine.advance(spec, f64::MAX, 1.0, &mut |one| done.push(one));
    done
}

/// Tokens a second, then means of the seconds to the first token and from one to the next.
fn figures(done: &[Done]) -> [f64; 3] {
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / (values.len() as f64).max(1.0);
    let tokens: f64 = done.iter().map(|one| f64::from(one.request.answer)).sum();
    let began = done.iter().map(|one| one.request.arrived).fold(f64::INFINITY, f64::min);
    let ended = done.iter().map(|one| one.last).fold(0.0, f64::max);
    let first = mean(done.iter().map(Done::to_first).collect());
    [tokens / (ended - began), first, mean(done.iter().filter_map(Done::per_token).collect())]
}

fn report(measured: [f64; 3], simulated: [f64; 3], output: Option<&Path>) -> Outcome<()> {
    let names = [("throughput", "tokens/s"), ("time-to-first-token", "s"), ("time-per-token", "s")];
    println!("{:<22}{:>12}{:>12}{:>9}", "", "engine", "simulated", "error");
    let mut rows = Vec::new();
    for (((name, unit), real), model) in names.into_iter().zip(measured).zip(simulated) {
        let error = model / real - 1.0;
        let verdict = if error.abs() <= GOAL { "" } else { "  over the goal of 8 %" };
        println!("{name:<22}{real:>12.5}{model:>12.5}{:>8.2} %{verdict}", error * 100.0);
        rows.push(serde_json::json!({
            "name": name, "unit": unit, "ours": [model], "peer": "helixflow-engine", "theirs": [real],
            "ratio": model / real, "limit": null, "share": null,
            "better": if unit == "s" { "lower" } else { "higher" },
        }));
    }
    if let Some(path) = output {
        let machine = helixflow_chaos::heat::Machine::here(&helixflow_env::disk::RealDisk);
        let bench = serde_json::json!({ "bench": "simulator", "machine": machine, "rows": rows });
        std::fs::write(path, serde_json::to_string_pretty(&bench)?)?;
    }
    Ok(())
}
