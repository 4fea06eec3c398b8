//! Layers on the CPU: the first implementation of [`Compute`].
//!
//! ```text
//! CpuModel::load   GGUF → hyperparameters → packed weights, KV cache, threads
//! forward          check the batch → copy it into a step → every thread runs `layers` → collect the result
//! ```
//!
//! The threads share rows through `strips`, meet at a `barrier`, and never share a row they write. All arithmetic
//! is in `kernels`; this folder decides who computes what, which changes no bit of the result.

mod attention;
mod barrier;
mod cache;
mod error;
mod hyperparameters;
mod layers;
mod rotation;
mod step;
mod strips;
mod team;
mod weights;

pub use error::LoadError;
use helixflow_model::LayerRange;
pub use hyperparameters::Hyperparameters;

use self::barrier::Lost;
use self::cache::Cache;
use self::layers::Layers;
use self::team::Team;
use self::weights::Weights;
use super::{Batch, Compute, ComputeError, Input, Limits, Output, Shape};
use crate::gguf::GgufFile;
use crate::kernels::{KernelSet, Kernels};

/// Changes whenever the bits of any result change: the test of golden bits guards it.
pub const ARITHMETIC_REVISION: u32 = 1;

/// The name of what gives these bits: this project's CPU kernels at [`ARITHMETIC_REVISION`], on any CPU.
pub const NUMERICS_CLASS: &str = "cpu-1";

/// Most threads of one engine; beyond that the meetings cost more than the threads bring.
const MAX_THREADS: usize = 256;

/// How a model is run. None of it changes a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuOptions {
    /// Threads, the caller's among them.
    pub threads: usize,
    /// The instructions to use.
    pub kernels: KernelSet,
    /// Most rows in a batch.
    pub rows: usize,
    /// Most rows of a batch that want logits.
    pub logit_rows: usize,
    /// Pages of the KV cache; [`Hyperparameters::page_bytes`] says what one takes.
    pub pages: usize,
}

impl Default for CpuOptions {
    /// One thread with the best kernels, prompts in chunks of up to 256 rows, and 16,384 positions.
    fn default() -> Self {
        Self { threads: 1, kernels: KernelSet::best(), rows: 256, logit_rows: 64, pages: 256 }
    }
}

/// A range of a model's layers, ready to run.
pub struct CpuModel {
    team: Team<Layers>,
    shape: Shape,
    limits: Limits,
}

impl CpuModel {
    /// Loads a range of layers. `progress` hears of bytes packed and their total, matrix by matrix.
    pub fn load(
        file: &GgufFile,
        layers: LayerRange,
        options: &CpuOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, LoadError> {
        let kernels = Kernels::new(options.kernels)?;
        check_options(options)?;
        let hyper = Hyperparameters::read(file)?;
        if layers.first >= layers.end || layers.end > hyper.layers {
            return Err(LoadError::Layers { first: layers.first, end: layers.end, layers: hyper.layers });
        }
        let shape = Shape {
            layers,
            model_layers: hyper.layers,
            width: hyper.width,
            vocabulary: hyper.vocabulary,
            context: hyper.context,
        };
        let weights = Weights::load(file, &hyper, layers, progress)?;
        let cache = Cache::new(&hyper, layers.count(), options.pages)?;
        let program = Layers::new(hyper, kernels, weights, cache, options.threads);
        let team = Team::start(program, options.threads);
        let team = team.map_err(|source| LoadError::Resources { what: "threads", source })?;
        let limits = Limits { rows: options.rows, logit_rows: options.logit_rows, pages: options.pages };
        Ok(Self { team, shape, limits })
    }

    /// The model's hyperparameters.
    pub fn hyperparameters(&self) -> &Hyperparameters {
        &self.team.program().hyper
    }

    fn collect(&self, rows: usize, output: &mut Output) -> Result<(), Lost> {
        let program = self.team.program();
        let has_head = program.weights.head.is_some();
        let logit_rows = strips::read(&program.step)?.logit_rows.len();
        let (hidden, logits) = if has_head { (0, logit_rows) } else { (rows, 0) };
        // What was there is written over, not cleared first: a row of logits is hundreds of kilobytes.
        output.hidden.resize(hidden * self.shape.width, 0.0);
        output.logits.resize(logits * self.shape.vocabulary, 0.0);
        for (row, out) in output.hidden.chunks_exact_mut(self.shape.width).enumerate() {
            program.residual.gather(row, 0, out)?;
        }
        for (row, out) in output.logits.chunks_exact_mut(self.shape.vocabulary).enumerate() {
            program.logits.gather(row, 0, out)?;
        }
        Ok(())
    }
}

fn check_options(options: &CpuOptions) -> Result<(), LoadError> {
    let refuse = |option, value, wanted| Err(LoadError::Option { option, value, wanted });
    if options.threads == 0 || options.threads > MAX_THREADS {
        return refuse("threads", options.threads, "give 1 to 256");
    }
    let sizes = [("rows", options.rows), ("logit_rows", options.logit_rows), ("pages", options.pages)];
    match sizes.into_iter().find(|(_, value)| *value == 0) {
        Some((option, value)) => refuse(option, value, "give at least 1"),
        None => Ok(()),
    }
}

impl Compute for CpuModel {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn forward(
        &mut self,
        batch: &Batch<'_>,
        input: Input<'_>,
        output: &mut Output,
    ) -> Result<(), ComputeError> {
        step::check(batch, input, &self.shape, self.limits)?;
        let program = self.team.program();
        let lost = |Lost| ComputeError::Lost;
        strips::write(&program.step).map_err(lost)?.fill(batch, input);
        self.team.step().map_err(lost)?;
        self.collect(batch.rows.len(), output).map_err(lost)
    }
}
