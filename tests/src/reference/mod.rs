//! A plain forward pass of the `llama` architecture, written to be read: what the engine is held to.
//!
//! Every position attends to all before it from scratch; no packing, no lanes, no tiles, no cache, no threads. Its
//! arithmetic comes in two kinds:
//! - [`AsEngine`] rounds activations as the engine does and adds in the order that the engine promises, so that every
//!   logit is the same to the bit. Less will not do: a sum in another order differs in its last bit, now and then that
//!   tips an activation to the neighbouring whole number, and thirty layers later two references, one adding in 32
//!   and one in 64 bits, are as far apart as either is from unrounded activations.
//! - [`Plain`] rounds no activations and adds floats as it likes: the model itself.
//!
//! Files are read by the engine's own reader; what it makes of each tensor type is compared with llama.cpp.

mod as_engine;
mod plain;
mod shape;

pub use as_engine::AsEngine;
pub use plain::Plain;

use anyhow::Result;
use helixflow_engine::gguf::{GgufFile, TensorType, dequantize};
use helixflow_model::TokenId;

use self::shape::Shape;
use crate::rows::Rows;

/// How numbers are rounded and in which order they are added.
pub trait Arithmetic {
    /// `x / sqrt(mean(x²) + epsilon) · weight` for each row.
    fn normalize(&self, rows: &Rows, weight: &[f32], epsilon: f32) -> Rows;

    /// Each row times a matrix with rows of `columns` weights.
    ///
    /// # Errors
    /// When the tensor type is not computed in this arithmetic.
    fn multiply(&self, rows: &Rows, kind: TensorType, matrix: &[u8], columns: usize) -> Result<Rows>;

    /// What the cache keeps of keys and values.
    fn keep(&self, rows: &mut Rows);

    /// What one query head, scaled, sees of the positions from `first` on, given by their keys and values.
    fn attend(&self, query: &[f32], keys: &[&[f32]], values: &[&[f32]], first: usize) -> Vec<f32>;

    /// `gate / (1 + exp(-gate)) · up`.
    fn gate(&self, gate: f32, up: f32) -> f32;
}

/// The next token's logits at each position of `tokens`, `positions × vocabulary`.
///
/// # Errors
/// When the file lacks a tensor or a key of the `llama` architecture.
pub fn logits(file: &GgufFile, tokens: &[TokenId], arithmetic: &dyn Arithmetic) -> Result<Rows> {
    Pass { file, shape: Shape::read(file)?, arithmetic }.logits(tokens)
}

struct Pass<'a> {
    file: &'a GgufFile,
    shape: Shape,
    arithmetic: &'a dyn Arithmetic,
}

impl Pass<'_> {
    fn logits(&self, tokens: &[TokenId]) -> Result<Rows> {
        let mut residual = self.embed(tokens)?;
        for layer in 0..self.shape.layers {
            self.attention(layer, &mut residual)?;
            self.feed_forward(layer, &mut residual)?;
        }
        let normal = self.normalize(&residual, "output_norm.weight")?;
        let own_head = self.file.find_tensor("output.weight").is_some();
        self.multiply(&normal, if own_head { "output.weight" } else { "token_embd.weight" })
    }

    fn embed(&self, tokens: &[TokenId]) -> Result<Rows> {
        let (info, bytes) = self.file.tensor("token_embd.weight")?;
        let row_bytes = bytes.len() / info.rows();
        let mut rows = Rows::zeros(tokens.len(), info.columns());
        for (token, row) in tokens.iter().zip(rows.iter_mut()) {
            dequantize(info.kind, &bytes[token.0 as usize * row_bytes..][..row_bytes], row);
        }
        Ok(rows)
    }

    fn attention(&self, layer: usize, residual: &mut Rows) -> Result<()> {
        let name = |tensor: &str| format!("blk.{layer}.{tensor}.weight");
        let normal = self.normalize(residual, &name("attn_norm"))?;
        let mut queries = self.multiply(&normal, &name("attn_q"))?;
        let mut keys = self.multiply(&normal, &name("attn_k"))?;
        let mut values = self.multiply(&normal, &name("attn_v"))?;
        self.shape.rotate(&mut queries, 1.0 / (self.shape.head_size as f32).sqrt());
        self.shape.rotate(&mut keys, 1.0);
        self.arithmetic.keep(&mut keys);
        self.arithmetic.keep(&mut values);
        let attended = self.attend(&queries, &keys, &values);
        add(residual, &self.multiply(&attended, &name("attn_output"))?);
        Ok(())
    }

    /// What each position's query heads see of the positions up to their own.
    fn attend(&self, queries: &Rows, keys: &Rows, values: &Rows) -> Rows {
        let Shape { head_size, heads, kv_heads, window, .. } = self.shape;
        let mut attended = Rows::zeros(queries.count(), queries.width());
        for (position, out) in attended.iter_mut().enumerate() {
            let seen = (position + 1).saturating_sub(window)..position + 1;
            let head_queries = queries.row(position).chunks_exact(head_size);
            for (head, (query, out)) in head_queries.zip(out.chunks_exact_mut(head_size)).enumerate() {
                let kv_head = head / (heads / kv_heads) * head_size;
                let kv_head = kv_head..kv_head + head_size;
                let keys: Vec<_> = seen.clone().map(|at| &keys.row(at)[kv_head.clone()]).collect();
                let values: Vec<_> = seen.clone().map(|at| &values.row(at)[kv_head.clone()]).collect();
                out.copy_from_slice(&self.arithmetic.attend(query, &keys, &values, seen.start));
            }
        }
        attended
    }

    fn feed_forward(&self, layer: usize, residual: &mut Rows) -> Result<()> {
        let name = |tensor: &str| format!("blk.{layer}.{tensor}.weight");
        let normal = self.normalize(residual, &name("ffn_norm"))?;
        let mut inner = self.multiply(&normal, &name("ffn_gate"))?;
        let up = self.multiply(&normal, &name("ffn_up"))?;
        for (gate, up) in inner.values_mut().iter_mut().zip(up.values()) {
            *gate = self.arithmetic.gate(*gate, *up);
        }
        add(residual, &self.multiply(&inner, &name("ffn_down"))?);
        Ok(())
    }

    fn normalize(&self, rows: &Rows, tensor: &str) -> Result<Rows> {
        let (info, bytes) = self.file.tensor(tensor)?;
        let mut weight = vec![0.0; rows.width()];
        dequantize(info.kind, bytes, &mut weight);
        Ok(self.arithmetic.normalize(rows, &weight, self.shape.epsilon))
    }

    fn multiply(&self, rows: &Rows, tensor: &str) -> Result<Rows> {
        let (info, bytes) = self.file.tensor(tensor)?;
        self.arithmetic.multiply(rows, info.kind, bytes, info.columns())
    }
}

fn add(rows: &mut Rows, others: &Rows) {
    for (x, other) in rows.values_mut().iter_mut().zip(others.values()) {
        *x += other;
    }
}
