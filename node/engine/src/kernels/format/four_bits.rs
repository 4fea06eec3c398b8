//! Q4_0 and Q4_1: blocks of 32 four-bit numbers.
//!
//! ```text
//! Q4_0   16 scales (f16)                     | 4 × 64 bytes: quads 0,1 | 2,3 | 4,5 | 6,7      288 bytes
//! Q4_1   16 scales (f16) | 16 minimums (f16) | the same                                       320 bytes
//! ```
//! A byte holds one column of an even quad in its low half and the same of the next quad in its high half.

use super::{
    BLOCK, Format, HALF_BYTES, Isa, NIBBLE_BYTES, Quads, QuantBlock, QuantFormat, TensorType, half_of, lanes,
    nibble_of, nibble_quads, put_half, put_nibble,
};
use crate::gguf::nibble;

/// Scale times a number less 8.
pub(in crate::kernels) struct Q4_0;
/// Scale times a number, plus a minimum.
pub(in crate::kernels) struct Q4_1;

/// What Q4_0 takes off its numbers.
const OFFSET: i32 = 8;

impl Format for Q4_0 {
    const KIND: TensorType = TensorType::Q4_0;
    const COLUMNS: usize = BLOCK;
    const BYTES: usize = HALF_BYTES + NIBBLE_BYTES;

    fn pack(raw: &[u8], row: usize, packed: &mut [u8]) {
        put_half(raw, row, packed, 0);
        for column in 0..BLOCK {
            put_nibble(&mut packed[HALF_BYTES..], row, column, nibble(&raw[2..], column));
        }
    }

    fn weight(packed: &[u8], row: usize, column: usize) -> f32 {
        let number = i32::from(nibble_of(&packed[HALF_BYTES..], row, column)) - OFFSET;
        half_of(packed, 0, row) * number as f32
    }
}

impl QuantFormat for Q4_0 {
    const MINIMUM: bool = false;

    #[inline(always)]
    fn unpack<I: Isa>(isa: I, packed: &[u8], _sub_block: usize, part: usize) -> Quads<I> {
        Quads::new(isa, nibble_quads(isa, packed, HALF_BYTES, part))
    }

    #[inline(always)]
    fn scales<I: Isa>(isa: I, packed: &[u8], _sub_block: usize, part: usize) -> (I::Float, I::Float) {
        (isa.load_half_bytes(lanes::<I>(packed, 0, 2, part)), isa.splat(0.0))
    }

    #[inline(always)]
    fn dot<I: Isa>(isa: I, quads: &Quads<I>, inputs: &QuantBlock) -> I::Int {
        let dot = isa.dot_unsigned::<8, 8>(&quads.bytes, &inputs.quants);
        isa.add_int(dot, isa.splat_int(-OFFSET * inputs.sum))
    }
}

impl Format for Q4_1 {
    const KIND: TensorType = TensorType::Q4_1;
    const COLUMNS: usize = BLOCK;
    const BYTES: usize = 2 * HALF_BYTES + NIBBLE_BYTES;

    fn pack(raw: &[u8], row: usize, packed: &mut [u8]) {
        put_half(raw, row, packed, 0);
        put_half(&raw[2..], row, packed, HALF_BYTES);
        for column in 0..BLOCK {
            put_nibble(&mut packed[2 * HALF_BYTES..], row, column, nibble(&raw[4..], column));
        }
    }

    fn weight(packed: &[u8], row: usize, column: usize) -> f32 {
        let number = nibble_of(&packed[2 * HALF_BYTES..], row, column);
        half_of(packed, 0, row) * f32::from(number) + half_of(packed, HALF_BYTES, row)
    }
}

impl QuantFormat for Q4_1 {
    const MINIMUM: bool = true;

    #[inline(always)]
    fn unpack<I: Isa>(isa: I, packed: &[u8], _sub_block: usize, part: usize) -> Quads<I> {
        Quads::new(isa, nibble_quads(isa, packed, 2 * HALF_BYTES, part))
    }

    #[inline(always)]
    fn scales<I: Isa>(isa: I, packed: &[u8], _sub_block: usize, part: usize) -> (I::Float, I::Float) {
        let scale = isa.load_half_bytes(lanes::<I>(packed, 0, 2, part));
        (scale, isa.load_half_bytes(lanes::<I>(packed, HALF_BYTES, 2, part)))
    }

    #[inline(always)]
    fn dot<I: Isa>(isa: I, quads: &Quads<I>, inputs: &QuantBlock) -> I::Int {
        isa.dot_unsigned::<8, 8>(&quads.bytes, &inputs.quants)
    }
}
