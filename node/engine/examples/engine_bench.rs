//! The engine's side of `make bench-engine`: loads a model, then measures what it is told to, one line for one line.
//!
//! ```text
//! engine_bench MODEL.gguf THREADS [KERNELS]
//! < decode | prefill | batch8        128 tokens one by one; a prompt of 128; 64 steps of eight sequences
//! > {"tokens":128,"seconds":0.6}     the time in the layers, logits included; nothing is sampled
//! ```
//! The first line it prints tells what a token costs. The tokens are those of `llamacpp_bench.py`, its counterpart.
#![expect(clippy::print_stdout, reason = "the driver reads it")]

use std::error::Error;
use std::io::{BufRead, stdin};
use std::path::Path;
use std::time::{Duration, Instant};

use helixflow_engine::KernelSet;
use helixflow_engine::compute::cpu::{CpuModel, CpuOptions, Hyperparameters};
use helixflow_engine::compute::{Batch, Compute, Input, Output, PageId, Row};
use helixflow_engine::gguf::GgufFile;
use helixflow_model::TokenId;

/// Pages of each sequence: 128 positions.
const PAGES: u32 = 2;
const SEQUENCES: u32 = 8;
/// Tokens decoded one by one, and of a prompt.
const TOKENS: u32 = 128;
/// Steps of the batch.
const STEPS: u32 = 64;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (model, threads, kernels) = match arguments.as_slice() {
        [model, threads] => (model, threads, KernelSet::best()),
        [model, threads, kernels] => (model, threads, kernels.parse()?),
        _ => return Err("usage: engine_bench MODEL THREADS [KERNELS]".into()),
    };
    let file = GgufFile::open(Path::new(model))?;
    let options = CpuOptions { threads: threads.parse()?, kernels, ..CpuOptions::default() };
    let layers = Hyperparameters::read(&file)?.all_layers();
    let mut bench = Bench::new(CpuModel::load(&file, layers, &options, &mut |_, _| {})?);
    println!("{}", costs(&file, kernels));
    for work in stdin().lock().lines() {
        let (tokens, time) = match work?.as_str() {
            "decode" => bench.decode()?,
            "prefill" => bench.prefill()?,
            "batch8" => bench.batch()?,
            other => return Err(format!("{other:?} is no work; use decode, prefill or batch8").into()),
        };
        println!("{{\"tokens\":{tokens},\"seconds\":{}}}", time.as_secs_f64());
    }
    Ok(())
}

/// Bytes that one token alone makes the engine read, and multiplications in the layers and in the head.
fn costs(file: &GgufFile, kernels: KernelSet) -> String {
    let own_head = file.find_tensor("output.weight").is_some();
    let (mut bytes, mut layers, mut head) = (0, 0, 0);
    for (name, info) in file.tensors() {
        let products = if info.dimensions.len() > 1 { info.columns() * info.rows() } else { 0 };
        match (name, own_head) {
            ("token_embd.weight", true) => continue,
            ("token_embd.weight", false) | ("output.weight", _) => head += products,
            _ => layers += products,
        }
        bytes += info.range.len();
    }
    format!(
        "{{\"kernels\":\"{kernels}\",\"bytes\":{bytes},\"layer_products\":{layers},\"head_products\":{head}}}"
    )
}

/// A model and a page table for each sequence.
struct Bench {
    model: CpuModel,
    tables: Vec<Vec<PageId>>,
    output: Output,
}

impl Bench {
    fn new(model: CpuModel) -> Self {
        let table = |sequence| (sequence * PAGES..(sequence + 1) * PAGES).map(PageId).collect();
        Self { model, tables: (0..SEQUENCES).map(table).collect(), output: Output::default() }
    }

    fn decode(&mut self) -> Outcome<(u32, Duration)> {
        let mut time = Duration::ZERO;
        for position in 0..TOKENS {
            time += self.step(&[row(position, 0, true)])?;
        }
        Ok((TOKENS, time))
    }

    fn prefill(&mut self) -> Outcome<(u32, Duration)> {
        let rows: Vec<Row> = (0..TOKENS).map(|position| row(position, 0, position + 1 == TOKENS)).collect();
        Ok((TOKENS, self.step(&rows)?))
    }

    fn batch(&mut self) -> Outcome<(u32, Duration)> {
        let mut time = Duration::ZERO;
        for position in 0..STEPS {
            let rows: Vec<Row> = (0..SEQUENCES).map(|sequence| row(position, sequence, true)).collect();
            time += self.step(&rows)?;
        }
        Ok((STEPS * SEQUENCES, time))
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    fn step(&mut self, rows: &[Row]) -> Outcome<Duration> {
        let tables: Vec<&[PageId]> = self.tables.iter().map(Vec::as_slice).collect();
        let began = Instant::now();
        self.model.forward(&Batch { rows, tables: &tables }, Input::Tokens, &mut self.output)?;
        Ok(began.elapsed())
    }
}

/// Some token, the same for the same place.
fn row(position: u32, sequence: u32, logits: bool) -> Row {
    let token = TokenId(1000 + (37 * position + 101 * sequence) % 20_000);
    Row { token, position, table: sequence, logits }
}
