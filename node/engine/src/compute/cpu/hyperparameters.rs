//! The dimensions of a `llama` model, read from its metadata and checked before anything is computed from them.

use helixflow_model::LayerRange;

use super::LoadError;
use super::rotation::{Rotation, Scaling};
use crate::compute::PAGE_POSITIONS;
use crate::gguf::{GgufError, GgufFile, Metadata, dequantize};
use crate::kernels::{BLOCK, HeadShape};

/// The architecture computed here, and the prefix of its keys.
const ARCHITECTURE: &str = "llama";
/// Bounds that no known model comes near; they keep sizes derived from a corrupt file from overflowing.
const MAX_LAYERS: usize = 4096;
const MAX_SIZE: usize = 1 << 22;
const MAX_CONTEXT: usize = 1 << 24;
/// Head sizes are whole numbers of this.
const HEAD_STEP: usize = 8;

/// What a `llama` model is made of.
#[derive(Clone, Debug)]
pub struct Hyperparameters {
    /// Number of layers.
    pub layers: u32,
    /// Length of an activation row.
    pub width: usize,
    /// Inner length of the feed-forward layer.
    pub feed_forward: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Dimensions of a head.
    pub head_size: usize,
    /// Longest sequence, in tokens.
    pub context: usize,
    /// Number of tokens in the vocabulary.
    pub vocabulary: usize,
    /// Positions that a row attends to, its own included, where the model limits them.
    pub window: Option<usize>,
    pub(super) epsilon: f32,
    pub(super) rotation: Rotation,
}

impl Hyperparameters {
    /// Reads and checks them.
    pub fn read(file: &GgufFile) -> Result<Self, LoadError> {
        let metadata = file.metadata();
        let architecture = metadata.string("general.architecture")?;
        if architecture != ARCHITECTURE {
            return Err(LoadError::OtherArchitecture { found: architecture.to_owned() });
        }
        let layers = size(metadata, "llama.block_count", 1, MAX_LAYERS)?;
        let width = size(metadata, "llama.embedding_length", BLOCK, MAX_SIZE)?;
        let heads = size(metadata, "llama.attention.head_count", 1, MAX_SIZE)?;
        let kv_heads = size_or(metadata, "llama.attention.head_count_kv", 1, heads, heads)?;
        let head_size = head_size(metadata, width, heads)?;
        let hyper = Self {
            layers: u32::try_from(layers).unwrap_or(u32::MAX),
            width,
            feed_forward: size(metadata, "llama.feed_forward_length", BLOCK, MAX_SIZE)?,
            heads,
            kv_heads,
            head_size,
            context: size(metadata, "llama.context_length", 1, MAX_CONTEXT)?,
            vocabulary: vocabulary(file)?,
            window: window(metadata)?,
            epsilon: epsilon(metadata)?,
            rotation: rotation(file, head_size)?,
        };
        hyper.check()?;
        Ok(hyper)
    }

    fn check(&self) -> Result<(), LoadError> {
        must(self.heads.is_multiple_of(self.kv_heads), "llama.attention.head_count", self.heads, {
            "a multiple of llama.attention.head_count_kv"
        })?;
        for (key, columns) in [
            ("llama.embedding_length", self.width),
            ("llama.feed_forward_length", self.feed_forward),
            ("the length of all heads together", self.query_size()),
        ] {
            must(columns.is_multiple_of(BLOCK), key, columns, "a multiple of 32")?;
        }
        Ok(())
    }

    /// All layers of the model.
    pub fn all_layers(&self) -> LayerRange {
        LayerRange { first: 0, end: self.layers }
    }

    /// Bytes of one KV page over the layers of a range.
    pub fn page_bytes(&self, layers: LayerRange) -> usize {
        self.head_shape().page_len() * size_of::<u16>() * self.kv_heads * layers.count() as usize
    }

    /// KV pages that the longest sequence needs.
    pub fn pages_per_sequence(&self) -> usize {
        self.context.div_ceil(PAGE_POSITIONS)
    }

    pub(super) fn query_size(&self) -> usize {
        self.heads * self.head_size
    }

    pub(super) fn key_size(&self) -> usize {
        self.kv_heads * self.head_size
    }

    pub(super) fn head_shape(&self) -> HeadShape {
        HeadShape { size: self.head_size }
    }
}

fn must(
    holds: bool,
    key: &'static str,
    value: impl std::fmt::Display + Copy,
    wanted: &'static str,
) -> Result<(), LoadError> {
    if holds { Ok(()) } else { Err(LoadError::Hyperparameter { key, value: value.to_string(), wanted }) }
}

fn size(
    metadata: Metadata<'_>,
    key: &'static str,
    lowest: usize,
    highest: usize,
) -> Result<usize, LoadError> {
    let value = metadata.unsigned(key)?;
    let small = usize::try_from(value).unwrap_or(usize::MAX);
    must((lowest..=highest).contains(&small), key, value, "within the bounds of known models")?;
    Ok(small)
}

fn size_or(
    metadata: Metadata<'_>,
    key: &'static str,
    lowest: usize,
    highest: usize,
    default: usize,
) -> Result<usize, LoadError> {
    if metadata.contains(key) { size(metadata, key, lowest, highest) } else { Ok(default) }
}

fn head_size(metadata: Metadata<'_>, width: usize, heads: usize) -> Result<usize, LoadError> {
    const KEY: &str = "llama.attention.key_length";
    let head_size = size_or(metadata, KEY, 1, MAX_SIZE, width / heads)?;
    let value_size = size_or(metadata, "llama.attention.value_length", 1, MAX_SIZE, head_size)?;
    must(head_size > 0 && head_size.is_multiple_of(HEAD_STEP), KEY, head_size, "a multiple of 8")?;
    must(value_size == head_size, "llama.attention.value_length", value_size, "that of the keys")?;
    must(head_size.saturating_mul(heads) <= MAX_SIZE, KEY, head_size, "within the bounds of known models")?;
    Ok(head_size)
}

fn vocabulary(file: &GgufFile) -> Result<usize, LoadError> {
    let (info, _) = file.tensor("token_embd.weight")?;
    let rows = info.rows();
    must((1..=MAX_SIZE).contains(&rows), "the number of tokens", rows, "within the bounds of known models")?;
    Ok(rows)
}

fn window(metadata: Metadata<'_>) -> Result<Option<usize>, LoadError> {
    const KEY: &str = "llama.attention.sliding_window";
    let window = size_or(metadata, KEY, 0, usize::MAX, 0)?;
    Ok((window > 0).then_some(window))
}

fn epsilon(metadata: Metadata<'_>) -> Result<f32, LoadError> {
    const KEY: &str = "llama.attention.layer_norm_rms_epsilon";
    let epsilon = metadata.float(KEY)?;
    must(epsilon.is_finite() && epsilon >= 0.0, KEY, epsilon, "finite and not negative")?;
    Ok(epsilon)
}

/// The angles of a pair of dimensions, by position. Llama 3's scaling comes as a tensor of factors.
fn rotation(file: &GgufFile, head_size: usize) -> Result<Rotation, LoadError> {
    const DIMENSIONS: &str = "llama.rope.dimension_count";
    const BASE: &str = "llama.rope.freq_base";
    let metadata = file.metadata();
    let turned = size_or(metadata, DIMENSIONS, 0, head_size, head_size)?;
    must(turned.is_multiple_of(2), DIMENSIONS, turned, "an even number")?;
    let base = if metadata.contains(BASE) { metadata.float(BASE)? } else { 10_000.0 };
    must(base.is_finite() && base > 0.0, BASE, base, "finite and above zero")?;
    let scaling = Scaling { linear: linear_factor(metadata)?, factors: factors(file, turned / 2)? };
    Ok(Rotation::new(turned / 2, base, &scaling))
}

fn linear_factor(metadata: Metadata<'_>) -> Result<f32, LoadError> {
    const KIND: &str = "llama.rope.scaling.type";
    const FACTOR: &str = "llama.rope.scaling.factor";
    const OLD_FACTOR: &str = "llama.rope.scale_linear";
    let kind = if metadata.contains(KIND) { metadata.string(KIND)? } else { "" };
    let key = match kind {
        "linear" => FACTOR,
        "" if metadata.contains(OLD_FACTOR) => OLD_FACTOR,
        "" | "none" => return Ok(1.0),
        other => return Err(LoadError::UnsupportedScaling { found: other.to_owned() }),
    };
    let factor = metadata.float(key)?;
    must(factor.is_finite() && factor > 0.0, key, factor, "finite and above zero")?;
    Ok(factor)
}

fn factors(file: &GgufFile, pairs: usize) -> Result<Vec<f32>, LoadError> {
    const TENSOR: &str = "rope_freqs.weight";
    let (info, bytes) = match file.tensor(TENSOR) {
        Ok(found) => found,
        Err(GgufError::MissingTensor { .. }) => return Ok(vec![1.0; pairs]),
        Err(other) => return Err(other.into()),
    };
    if info.dimensions != [pairs] {
        return Err(LoadError::Dimensions {
            tensor: TENSOR.to_owned(),
            kind: info.kind,
            found: info.dimensions.clone(),
            wanted: vec![pairs],
        });
    }
    let mut factors = vec![1.0; pairs];
    dequantize(info.kind, bytes, &mut factors);
    let sound = factors.iter().all(|factor| factor.is_finite() && *factor > 0.0);
    must(sound, "a factor of rope_freqs.weight", "not a positive number", "finite and above zero")?;
    Ok(factors)
}
