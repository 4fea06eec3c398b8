//! Several ranges of a model's layers behind each other, as one whole model.

use anyhow::Result;
use helixflow_engine::compute::cpu::{CpuModel, CpuOptions};
use helixflow_engine::compute::{Batch, Compute, ComputeError, Input, Limits, Output, Shape};
use helixflow_engine::gguf::GgufFile;
use helixflow_model::LayerRange;

/// Ranges that hand their activations on.
pub struct Pipeline {
    shape: Shape,
    ranges: Vec<CpuModel>,
    between: Output,
}

impl Pipeline {
    /// Loads the layers of `cuts`: `[0, 7, 30]` are the ranges 0..7 and 7..30, which must be the whole model.
    ///
    /// # Errors
    /// When a range cannot be loaded.
    pub fn load(file: &GgufFile, cuts: &[u32], options: &CpuOptions) -> Result<Self> {
        let mut ranges = Vec::new();
        for cut in cuts.windows(2) {
            let layers = LayerRange { first: cut[0], end: cut[1] };
            ranges.push(CpuModel::load(file, layers, options, &mut |_, _| {})?);
        }
        let mut shape = ranges[0].shape().clone();
        shape.layers.end = shape.model_layers;
        Ok(Self { shape, ranges, between: Output::default() })
    }
}

impl Compute for Pipeline {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn limits(&self) -> Limits {
        self.ranges[0].limits()
    }

    fn forward(
        &mut self,
        batch: &Batch<'_>,
        input: Input<'_>,
        output: &mut Output,
    ) -> Result<(), ComputeError> {
        let (first, rest) = self.ranges.split_at_mut(1);
        first[0].forward(batch, input, output)?;
        for range in rest {
            std::mem::swap(&mut self.between, output);
            range.forward(batch, Input::Hidden(&self.between.hidden), output)?;
        }
        Ok(())
    }
}
