//! A weight matrix as kernels want it: sixteen rows together, packed when the model is loaded.
//!
//! ```text
//! packed matrix   group 0 (rows 0..16) | group 1 (rows 16..32) | …          rows padded with zeros to sixteen
//! group           block 0 | block 1 | …                                     32 or 256 columns each, as the type has it
//! block           scales of the 16 rows | their minimums | quads            see the files of `format`
//! quad            row 0: 4 columns | row 1: the same 4 columns | … row 15   64 bytes, one column a byte
//! ```
//!
//! One load brings the same four columns of sixteen rows; they are multiplied by four activations in every lane, and
//! no sum ever crosses lanes. The size is that of the file but for padding.

use std::ops::Range;

use super::LANES;
use super::format::{Format, with_format};
use crate::gguf::TensorType;

/// Where a packed matrix stands in the weights' memory, and its dimensions.
#[derive(Clone, Debug)]
pub(crate) struct PackedMatrix {
    pub(crate) kind: TensorType,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) range: Range<usize>,
}

/// Bytes of a packed matrix. `columns` is a whole number of the type's blocks.
pub(crate) fn packed_bytes(kind: TensorType, rows: usize, columns: usize) -> Option<usize> {
    let group = with_format!(kind, F => (columns / F::COLUMNS).checked_mul(F::BYTES))?;
    group.checked_mul(rows.div_ceil(LANES))
}

impl PackedMatrix {
    /// Groups of sixteen rows, the last one padded.
    pub(crate) fn groups(&self) -> usize {
        self.rows.div_ceil(LANES)
    }

    /// Packs a matrix as it stands in the file into `out`, which has [`packed_bytes`] zeroed bytes.
    pub(crate) fn pack(&self, raw: &[u8], out: &mut [u8]) {
        with_format!(self.kind, F => pack::<F>(raw, self.rows, self.columns, out));
    }

    /// Some columns of row `row` as plain floats; `weights` is the memory that holds the matrix.
    pub(crate) fn row_part(&self, weights: &[u8], row: usize, columns: Range<usize>, out: &mut [f32]) {
        let packed = &weights[self.range.clone()];
        with_format!(self.kind, F => unpack::<F>(packed, self.columns, row, columns, out));
    }
}

fn pack<F: Format>(raw: &[u8], rows: usize, columns: usize, out: &mut [u8]) {
    let raw_block = F::KIND.block_bytes() * F::COLUMNS / F::KIND.block_elements();
    let blocks = columns / F::COLUMNS;
    let groups = out.chunks_exact_mut((blocks * F::BYTES).max(1));
    for (raw_rows, group) in raw.chunks((raw_block * blocks * LANES).max(1)).zip(groups) {
        for (row, raw_row) in raw_rows.chunks_exact(raw_block * blocks).enumerate().take(rows) {
            for (raw, packed) in raw_row.chunks_exact(raw_block).zip(group.chunks_exact_mut(F::BYTES)) {
                F::pack(raw, row, packed);
            }
        }
    }
}

fn unpack<F: Format>(packed: &[u8], width: usize, row: usize, columns: Range<usize>, out: &mut [f32]) {
    let group_bytes = width / F::COLUMNS * F::BYTES;
    let group = &packed[row / LANES * group_bytes..(row / LANES + 1) * group_bytes];
    for (column, value) in columns.zip(out) {
        let block = &group[column / F::COLUMNS * F::BYTES..][..F::BYTES];
        *value = F::weight(block, row % LANES, column % F::COLUMNS);
    }
}
