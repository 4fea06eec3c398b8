//! Runs sequences through a model in different ways, keeping every position's logits.

use helixflow_engine::compute::cpu::{CpuModel, CpuOptions};
use helixflow_engine::compute::{Batch, Compute, Input, Output, PAGE_POSITIONS, PageId, Row};
use helixflow_engine::gguf::GgufFile;
use helixflow_model::{LayerRange, TokenId};

/// Pages that each sequence may use; sequences take them alternately, so that no sequence's pages are in order.
pub(crate) const PAGES: u32 = 4;
/// Sequences that the models here have room for.
pub(crate) const SEQUENCES: u32 = 6;

pub(crate) fn options() -> CpuOptions {
    CpuOptions { rows: 128, logit_rows: 128, pages: (PAGES * SEQUENCES) as usize, ..CpuOptions::default() }
}

pub(crate) fn load(file: &GgufFile, layers: LayerRange, options: &CpuOptions) -> CpuModel {
    CpuModel::load(file, layers, options, &mut |_, _| {}).unwrap()
}

/// The pages of a sequence, last first among those of all sequences.
fn pages(sequence: u32) -> Vec<PageId> {
    (0..PAGES).map(|page| PageId((PAGES - 1 - page) * SEQUENCES + sequence)).collect()
}

/// One row of a sequence.
pub(crate) fn row(sequence: u32, position: usize, token: u32) -> Row {
    assert!(position < PAGES as usize * PAGE_POSITIONS);
    Row { token: TokenId(token), position: position as u32, table: sequence, logits: true }
}

/// One step over the stages of a model, each a range of its layers; the logits of every row that wants them.
pub(crate) fn step(stages: &mut [CpuModel], rows: &[Row]) -> Vec<f32> {
    let tables: Vec<Vec<PageId>> = (0..SEQUENCES).map(pages).collect();
    let tables: Vec<&[PageId]> = tables.iter().map(Vec::as_slice).collect();
    let batch = Batch { rows, tables: &tables };
    let mut output = Output::default();
    for stage in stages {
        let hidden = std::mem::take(&mut output.hidden);
        let first = stage.shape().layers.first == 0;
        let input = if first { Input::Tokens } else { Input::Hidden(&hidden) };
        stage.forward(&batch, input, &mut output).unwrap();
    }
    output.logits
}

/// The logits of every position of sequence 0, computed in chunks of `chunk` rows.
pub(crate) fn in_chunks(stages: &mut [CpuModel], tokens: &[u32], chunk: usize) -> Vec<f32> {
    let mut logits = Vec::new();
    for (index, tokens) in tokens.chunks(chunk).enumerate() {
        let rows = tokens.iter().enumerate().map(|(at, &token)| row(0, index * chunk + at, token));
        logits.extend(step(stages, &rows.collect::<Vec<_>>()));
    }
    logits
}

/// The logits of the last position alone, as a prompt is computed: in chunks, of which most want none.
pub(crate) fn last_of_prompt(stages: &mut [CpuModel], tokens: &[u32], chunk: usize) -> Vec<f32> {
    let mut logits = Vec::new();
    for (index, chunk_tokens) in tokens.chunks(chunk).enumerate() {
        let rows = chunk_tokens.iter().enumerate().map(|(at, &token)| {
            let position = index * chunk + at;
            Row { logits: position + 1 == tokens.len(), ..row(0, position, token) }
        });
        logits = step(stages, &rows.collect::<Vec<_>>());
    }
    logits
}

/// The logits of every position, each row in the midst of rows of other sequences that come and go.
pub(crate) fn in_company(stages: &mut [CpuModel], tokens: &[u32], vocabulary: usize) -> Vec<f32> {
    let mut logits = Vec::new();
    let mut lengths = [0; SEQUENCES as usize];
    for (position, &token) in tokens.iter().enumerate() {
        let mut rows = vec![row(0, position, token)];
        for sequence in 1..=(position as u32 % SEQUENCES).min(SEQUENCES - 1) {
            let length = &mut lengths[sequence as usize];
            // Sequence 5 joins with three rows at a time, and half of all rows want no logits.
            for _ in 0..if sequence == 5 { 3 } else { 1 } {
                let mut other = row(sequence, *length % 200, (token + sequence * 31) % 200);
                other.logits = sequence % 2 == 0;
                rows.push(other);
                *length += 1;
            }
        }
        let middle = rows.len() / 2;
        rows.swap(0, middle);
        let before = rows[..middle].iter().filter(|row| row.logits).count();
        let all = step(stages, &rows);
        logits.extend(&all[before * vocabulary..(before + 1) * vocabulary]);
    }
    logits
}

/// Floats by their bits; every NaN alike.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }).collect()
}

/// Tokens for a sequence, below 200.
pub(crate) fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32).map(|index| (index * index * 7 + index * 37 + 11) % 200).collect()
}
