//! The weights of a range of layers: found in the file, checked, and packed into one piece of memory.

use helixflow_model::LayerRange;

use super::{Hyperparameters, LoadError};
use crate::gguf::{GgufError, GgufFile, TensorInfo, dequantize};
use crate::kernels::{Needs, PackedMatrix, packed_bytes};
use crate::memory::Region;

/// Matrices begin on cache lines.
const ALIGNMENT: usize = 64;

/// Tensors of a layer that are computed here; any other is refused.
const LAYER_TENSORS: [&str; 9] =
    ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"];
/// Tensors outside the layers.
const MODEL_TENSORS: [&str; 4] =
    ["token_embd.weight", "output_norm.weight", "output.weight", "rope_freqs.weight"];

/// One layer.
pub(super) struct LayerWeights {
    pub(super) attention_norm: Vec<f32>,
    /// Queries, keys and values, computed as if they were one matrix.
    pub(super) qkv: [PackedMatrix; 3],
    pub(super) attention_output: PackedMatrix,
    pub(super) feed_forward_norm: Vec<f32>,
    pub(super) gate: PackedMatrix,
    pub(super) up: PackedMatrix,
    pub(super) down: PackedMatrix,
}

/// What stands behind the last layer.
pub(super) struct Head {
    pub(super) norm: Vec<f32>,
    pub(super) matrix: PackedMatrix,
}

/// Everything that a range of layers reads.
pub(super) struct Weights {
    pub(super) memory: Region<u8>,
    pub(super) layers: Vec<LayerWeights>,
    /// Present when the range begins with layer 0.
    pub(super) embedding: Option<PackedMatrix>,
    /// Present when the range ends with the last layer.
    pub(super) head: Option<Head>,
}

/// Forms of activations that a set of matrices multiplies.
pub(super) fn needs<'a>(matrices: impl IntoIterator<Item = &'a PackedMatrix>) -> Needs {
    let need = |matrix: &PackedMatrix| {
        let plain = matrix.kind.block_elements() == 1;
        Needs { quants: !plain, values: plain }
    };
    matrices.into_iter().map(need).fold(Needs::default(), Needs::or)
}

impl Weights {
    /// Loads the range; `progress` hears of packed bytes and their total.
    pub(super) fn load(
        file: &GgufFile,
        hyper: &Hyperparameters,
        range: LayerRange,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, LoadError> {
        refuse_unknown_tensors(file)?;
        let mut plan = Plan { file, matrices: Vec::new(), bytes: 0 };
        let layers = (range.first..range.end).map(|layer| plan.layer(hyper, layer));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let embedding = if range.first == 0 { Some(plan.embedding(hyper)?) } else { None };
        let head = if range.end == hyper.layers { Some(plan.head(hyper)?) } else { None };
        let memory = plan.pack(progress)?;
        Ok(Self { memory, layers, embedding, head })
    }
}

fn refuse_unknown_tensors(file: &GgufFile) -> Result<(), LoadError> {
    let known = |name: &str| {
        let layer_tensor = name
            .strip_prefix("blk.")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(_, tensor)| tensor.strip_suffix(".weight"));
        match layer_tensor {
            Some(tensor) => LAYER_TENSORS.contains(&tensor),
            None => MODEL_TENSORS.contains(&name),
        }
    };
    match file.tensors().find(|(name, _)| !known(name)) {
        Some((name, _)) => Err(LoadError::UnsupportedTensor { tensor: name.to_owned() }),
        None => Ok(()),
    }
}

/// Where each matrix will stand, before the memory is there.
struct Plan<'a> {
    file: &'a GgufFile,
    matrices: Vec<(String, PackedMatrix)>,
    bytes: usize,
}

impl Plan<'_> {
    fn layer(&mut self, hyper: &Hyperparameters, layer: u32) -> Result<LayerWeights, LoadError> {
        let name = |tensor: &str| format!("blk.{layer}.{tensor}.weight");
        let (width, inner) = (hyper.width, hyper.feed_forward);
        let (queries, keys) = (hyper.query_size(), hyper.key_size());
        Ok(LayerWeights {
            attention_norm: self.vector(&name("attn_norm"), width)?,
            qkv: [
                self.matrix(&name("attn_q"), queries, width)?,
                self.matrix(&name("attn_k"), keys, width)?,
                self.matrix(&name("attn_v"), keys, width)?,
            ],
            attention_output: self.matrix(&name("attn_output"), width, queries)?,
            feed_forward_norm: self.vector(&name("ffn_norm"), width)?,
            gate: self.matrix(&name("ffn_gate"), inner, width)?,
            up: self.matrix(&name("ffn_up"), inner, width)?,
            down: self.matrix(&name("ffn_down"), width, inner)?,
        })
    }

    fn embedding(&mut self, hyper: &Hyperparameters) -> Result<PackedMatrix, LoadError> {
        self.matrix("token_embd.weight", hyper.vocabulary, hyper.width)
    }

    /// The output matrix, or the embedding where the model ties the two.
    fn head(&mut self, hyper: &Hyperparameters) -> Result<Head, LoadError> {
        let norm = self.vector("output_norm.weight", hyper.width)?;
        let matrix = match self.file.find_tensor("output.weight") {
            Some(_) => self.matrix("output.weight", hyper.vocabulary, hyper.width)?,
            None => self.embedding(hyper)?,
        };
        Ok(Head { norm, matrix })
    }

    fn find(&self, tensor: &str, wanted: &[usize]) -> Result<(&TensorInfo, &[u8]), LoadError> {
        let (info, bytes) = self.file.tensor(tensor)?;
        if info.dimensions != wanted {
            return Err(LoadError::Dimensions {
                tensor: tensor.to_owned(),
                kind: info.kind,
                found: info.dimensions.clone(),
                wanted: wanted.to_vec(),
            });
        }
        Ok((info, bytes))
    }

    fn vector(&self, tensor: &str, length: usize) -> Result<Vec<f32>, LoadError> {
        let (info, bytes) = self.find(tensor, &[length])?;
        if !info.kind.all_finite(bytes) {
            return Err(GgufError::NonFinite { tensor: tensor.to_owned() }.into());
        }
        let mut values = vec![0.0; length];
        dequantize(info.kind, bytes, &mut values);
        Ok(values)
    }

    /// Gives a matrix its place; one that already has a place keeps it.
    fn matrix(&mut self, tensor: &str, rows: usize, columns: usize) -> Result<PackedMatrix, LoadError> {
        if let Some((_, placed)) = self.matrices.iter().find(|(name, _)| name == tensor) {
            return Ok(placed.clone());
        }
        let kind = self.find(tensor, &[columns, rows])?.0.kind;
        let overflow = || GgufError::BadTensor { tensor: tensor.to_owned(), reason: "its size overflows" };
        let start = self.bytes.checked_next_multiple_of(ALIGNMENT).ok_or_else(overflow)?;
        let bytes = packed_bytes(kind, rows, columns).ok_or_else(overflow)?;
        self.bytes = start.checked_add(bytes).ok_or_else(overflow)?;
        let matrix = PackedMatrix { kind, rows, columns, range: start..self.bytes };
        self.matrices.push((tensor.to_owned(), matrix.clone()));
        Ok(matrix)
    }

    fn pack(self, progress: &mut dyn FnMut(u64, u64)) -> Result<Region<u8>, LoadError> {
        let memory = Region::zeroed(self.bytes);
        let mut memory =
            memory.map_err(|source| LoadError::Resources { what: "memory for the weights", source })?;
        for (tensor, matrix) in &self.matrices {
            let (info, raw) = self.file.tensor(tensor)?;
            if !info.kind.all_finite(raw) {
                return Err(GgufError::NonFinite { tensor: tensor.clone() }.into());
            }
            matrix.pack(raw, &mut memory[matrix.range.clone()]);
            progress(matrix.range.end as u64, self.bytes as u64);
        }
        Ok(memory)
    }
}
