//! The dimensions of a model, and the turning of its heads by position.
//!
//! Sine, cosine and power are those of the crate `libm`, the same bits on every CPU.

use anyhow::Result;
use helixflow_engine::gguf::{GgufFile, Metadata, dequantize};

use crate::rows::Rows;

/// What the metadata says, as far as the reference needs it.
pub(super) struct Shape {
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) head_size: usize,
    /// Positions that a row attends to, its own included.
    pub(super) window: usize,
    pub(super) epsilon: f32,
    /// Angle per position of each pair of dimensions of a head.
    frequencies: Vec<f64>,
}

impl Shape {
    pub(super) fn read(file: &GgufFile) -> Result<Self> {
        let metadata = file.metadata();
        let size = |key: &str| -> Result<usize> { Ok(usize::try_from(metadata.unsigned(key)?)?) };
        let or = |key: &str, default| if metadata.contains(key) { size(key) } else { Ok(default) };
        let heads = size("llama.attention.head_count")?;
        let head_size = or("llama.attention.key_length", size("llama.embedding_length")? / heads)?;
        Ok(Self {
            layers: size("llama.block_count")?,
            heads,
            kv_heads: or("llama.attention.head_count_kv", heads)?,
            head_size,
            window: or("llama.attention.sliding_window", usize::MAX)?,
            epsilon: metadata.float("llama.attention.layer_norm_rms_epsilon")?,
            frequencies: frequencies(file, or("llama.rope.dimension_count", head_size)?)?,
        })
    }

    /// Turns interleaved pairs of dimensions in every head of row `p` by position `p`, and multiplies by `scale`.
    pub(super) fn rotate(&self, rows: &mut Rows, scale: f32) {
        for (position, row) in rows.iter_mut().enumerate() {
            for head in row.chunks_exact_mut(self.head_size) {
                for ([x, y], frequency) in head.as_chunks_mut::<2>().0.iter_mut().zip(&self.frequencies) {
                    let (sine, cosine) = libm::sincos(position as f64 * frequency);
                    let (sine, cosine) = (sine as f32, cosine as f32);
                    (*x, *y) = (*x * cosine - *y * sine, *x * sine + *y * cosine);
                }
                head.iter_mut().for_each(|x| *x *= scale);
            }
        }
    }
}

/// `base^(-i / pairs)`, slowed by linear scaling and by Llama 3's factors.
fn frequencies(file: &GgufFile, dimensions: usize) -> Result<Vec<f64>> {
    let metadata = file.metadata();
    let base = float_or(metadata, "llama.rope.freq_base", 10_000.0)?;
    let linear = match metadata.string("llama.rope.scaling.type") {
        Ok("linear") => float_or(metadata, "llama.rope.scaling.factor", 1.0)?,
        _ => 1.0,
    };
    let mut factors = vec![1.0; dimensions / 2];
    if let Ok((info, bytes)) = file.tensor("rope_freqs.weight") {
        dequantize(info.kind, bytes, &mut factors);
    }
    let frequency = |(pair, factor): (usize, &f32)| {
        libm::pow(base, -(pair as f64) / (dimensions / 2) as f64) / f64::from(*factor) / linear
    };
    Ok(factors.iter().enumerate().map(frequency).collect())
}

fn float_or(metadata: Metadata<'_>, key: &str, default: f64) -> Result<f64> {
    if metadata.contains(key) { Ok(f64::from(metadata.float(key)?)) } else { Ok(default) }
}
