//! Q5_0: blocks of 32 five-bit numbers less 16.
//!
//! ```text
//! 16 scales (f16) | 4 × 64 bytes of low four bits, as Q4_0 | 64 bytes of fifth bits: quad j in bit j      352 bytes
//! ```

use super::{
    BLOCK, Format, HALF_BYTES, Isa, NIBBLE_BYTES, QUAD_BYTES, Quads, QuantBlock, QuantFormat, TensorType,
    bit_place, fifth_bits, half_of, lanes, nibble_of, nibble_quads, or_quads, put_half, put_nibble,
};
use crate::gguf::nibble;

/// Scale times a number less 16.
pub(in crate::kernels) struct Q5_0;

const OFFSET: i32 = 16;
/// Where the fifth bits begin.
const HIGH: usize = HALF_BYTES + NIBBLE_BYTES;

impl Format for Q5_0 {
    const KIND: TensorType = TensorType::Q5_0;
    const COLUMNS: usize = BLOCK;
    const BYTES: usize = HIGH + QUAD_BYTES;

    fn pack(raw: &[u8], row: usize, packed: &mut [u8]) {
        put_half(raw, row, packed, 0);
        for column in 0..BLOCK {
            put_nibble(&mut packed[HALF_BYTES..], row, column, nibble(&raw[6..], column));
            let high = (raw[2 + column / 8] >> (column % 8)) & 1;
            let (byte, bit) = bit_place(row, column);
            packed[HIGH + byte] |= high << bit;
        }
    }

    fn weight(packed: &[u8], row: usize, column: usize) -> f32 {
        let (byte, bit) = bit_place(row, column);
        let high = (packed[HIGH + byte] >> bit) & 1;
        let number = nibble_of(&packed[HALF_BYTES..], row, column) | (high << 4);
        half_of(packed, 0, row) * (i32::from(number) - OFFSET) as f32
    }
}

impl QuantFormat for Q5_0 {
    const MINIMUM: bool = false;

    #[inline(always)]
    fn unpack<I: Isa>(isa: I, packed: &[u8], _sub_block: usize, part: usize) -> Quads<I> {
        let low = nibble_quads(isa, packed, HALF_BYTES, part);
        let high = fifth_bits(isa, packed, HIGH, part);
        Quads::new(isa, or_quads(isa, low, high))
    }

    #[inline(always)]
    fn scales<I: Isa>(isa: I, packed: &[u8], _sub_block: usize, part: usize) -> (I::Float, I::Float) {
        (isa.load_half_bytes(lanes::<I>(packed, 0, 2, part)), isa.splat(0.0))
    }

    #[inline(always)]
    fn dot<I: Isa>(isa: I, quads: &Quads<I>, inputs: &QuantBlock) -> I::Int {
        let dot = isa.dot_unsigned::<8, 4>(&quads.bytes, &inputs.quants);
        isa.add_int(dot, isa.splat_int(-OFFSET * inputs.sum))
    }
}
