//! F32 and F16: plain floats, multiplied by activations that are not quantized.
//!
//! ```text
//! column 0 of 16 rows | column 1 of 16 rows | …      64 or 32 bytes each
//! ```

use super::{Format, HALF_BYTES, Isa, LANES, TensorType, half_of, lanes, put_half};

/// 32-bit floats.
pub(in crate::kernels) struct F32;
/// 16-bit floats.
pub(in crate::kernels) struct F16;

/// A type whose weights are floats: a block is one column.
pub(in crate::kernels) trait PlainFormat: Format {
    /// One column of the rows of part `part`.
    fn column<I: Isa>(isa: I, packed: &[u8], part: usize) -> I::Float;
}

impl Format for F32 {
    const KIND: TensorType = TensorType::F32;
    const COLUMNS: usize = 1;
    const BYTES: usize = 4 * LANES;

    fn pack(raw: &[u8], row: usize, packed: &mut [u8]) {
        packed[4 * row..4 * row + 4].copy_from_slice(&raw[..4]);
    }

    fn weight(packed: &[u8], row: usize, _column: usize) -> f32 {
        f32::from_le_bytes(packed.as_chunks().0[row])
    }
}

impl PlainFormat for F32 {
    #[inline(always)]
    fn column<I: Isa>(isa: I, packed: &[u8], part: usize) -> I::Float {
        isa.load_float_bytes(lanes::<I>(packed, 0, 4, part))
    }
}

impl Format for F16 {
    const KIND: TensorType = TensorType::F16;
    const COLUMNS: usize = 1;
    const BYTES: usize = HALF_BYTES;

    fn pack(raw: &[u8], row: usize, packed: &mut [u8]) {
        put_half(raw, row, packed, 0);
    }

    fn weight(packed: &[u8], row: usize, _column: usize) -> f32 {
        half_of(packed, 0, row)
    }
}

impl PlainFormat for F16 {
    #[inline(always)]
    fn column<I: Isa>(isa: I, packed: &[u8], part: usize) -> I::Float {
        isa.load_half_bytes(lanes::<I>(packed, 0, 2, part))
    }
}
