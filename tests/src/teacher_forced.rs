//! The engine's own logits at every position of a given sequence.

use anyhow::{Context, Result};
use helixflow_engine::compute::cpu::{CpuModel, CpuOptions, Hyperparameters};
use helixflow_engine::compute::{Batch, Compute, Input, Output, PAGE_POSITIONS, PageId, Row};
use helixflow_engine::gguf::GgufFile;
use helixflow_model::TokenId;

use crate::rows::Rows;

/// The next token's logits at each position of `tokens`, `positions × vocabulary`, prefilled in chunks of as many rows
/// as `options` allows logits for.
///
/// # Errors
/// When the model cannot be loaded or the sequence does not fit into it.
pub fn logits(file: &GgufFile, options: &CpuOptions, tokens: &[TokenId]) -> Result<Rows> {
    let layers = Hyperparameters::read(file)?.all_layers();
    let mut model = CpuModel::load(file, layers, options, &mut |_, _| {})?;
    let pages = u32::try_from(tokens.len().div_ceil(PAGE_POSITIONS)).context("a short sequence")?;
    let table: Vec<PageId> = (0..pages).map(PageId).collect();
    let rows: Vec<Row> = tokens
        .iter()
        .zip(0..)
        .map(|(&token, position)| Row { token, position, table: 0, logits: true })
        .collect();
    let mut output = Output::default();
    let mut logits = Vec::new();
    for chunk in rows.chunks(options.logit_rows.min(options.rows)) {
        model.forward(&Batch { rows: chunk, tables: &[&table] }, Input::Tokens, &mut output)?;
        logits.extend_from_slice(&output.logits);
    }
    Ok(Rows::new(model.shape().vocabulary, logits))
}
