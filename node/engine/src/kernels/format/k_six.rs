//! Q6_K: blocks of 256 six-bit numbers less 32, each sixteen of them with a signed eight-bit scale.
//!
//! ```text
//! 16 scales (f16) | 8 sub-blocks of 32 columns:
//!     16 scales (i8) of the first half | 16 of the second
//!     | 4 × 64 bytes of low four bits | 2 × 64 bytes of high two bits: quad j in bits 2·(j mod 4) of plane j / 4
//! ```
//! The eight-bit scales are whole numbers, so they are multiplied into the exact dot product.

use super::{
    BLOCK, Format, HALF_BYTES, Isa, LANES, NIBBLE_BYTES, QUAD, QUAD_BYTES, Quads, QuantBlock, QuantFormat,
    TensorType, half_of, lanes, nibble_of, nibble_quads, put_half, put_nibble,
};
use crate::gguf::six_bits;

/// Scale times sub-scale times a number less 32.
pub(in crate::kernels) struct Q6K;

const COLUMNS: usize = 256;
const OFFSET: i32 = 32;
/// Columns of a half, which share a scale.
const HALF: usize = BLOCK / 2;
/// Where a sub-block's low bits begin: after two scales for each row.
const LOW: usize = 2 * LANES;
/// Where its high bits begin.
const HIGH: usize = LOW + NIBBLE_BYTES;
const SUB_BLOCK: usize = HIGH + 2 * QUAD_BYTES;

/// Where the high two bits of a column stand in a sub-block: the byte and the shift.
const fn high_place(row: usize, column: usize) -> (usize, u32) {
    let quad = column / QUAD;
    (HIGH + quad / 4 * QUAD_BYTES + row * QUAD + column % QUAD, 2 * (quad % 4) as u32)
}

fn sub_block_start(sub_block: usize) -> usize {
    HALF_BYTES + sub_block * SUB_BLOCK
}

impl Format for Q6K {
    const KIND: TensorType = TensorType::Q6K;
    const COLUMNS: usize = COLUMNS;
    const BYTES: usize = HALF_BYTES + COLUMNS / BLOCK * SUB_BLOCK;

    fn pack(raw: &[u8], row: usize, packed: &mut [u8]) {
        put_half(&raw[208..], row, packed, 0);
        for (index, sub_block) in packed[HALF_BYTES..].chunks_exact_mut(SUB_BLOCK).enumerate() {
            sub_block[row] = raw[192 + 2 * index];
            sub_block[LANES + row] = raw[193 + 2 * index];
            for column in 0..BLOCK {
                let number = six_bits(raw, index * BLOCK + column);
                put_nibble(&mut sub_block[LOW..], row, column, number & 15);
                let (byte, shift) = high_place(row, column);
                sub_block[byte] |= number >> 4 << shift;
            }
        }
    }

    fn weight(packed: &[u8], row: usize, column: usize) -> f32 {
        let sub_block = &packed[sub_block_start(column / BLOCK)..];
        let column = column % BLOCK;
        let (byte, shift) = high_place(row, column);
        let number = nibble_of(&sub_block[LOW..], row, column) | ((sub_block[byte] >> shift & 3) << 4);
        let factor = f32::from(sub_block[column / HALF * LANES + row].cast_signed());
        half_of(packed, 0, row) * factor * (i32::from(number) - OFFSET) as f32
    }
}

impl QuantFormat for Q6K {
    const MINIMUM: bool = false;

    #[inline(always)]
    fn unpack<I: Isa>(isa: I, packed: &[u8], sub_block: usize, part: usize) -> Quads<I> {
        let start = sub_block_start(sub_block);
        let mut bytes = nibble_quads(isa, packed, start + LOW, part);
        for (plane, quads) in bytes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let high = isa.load_bytes(lanes::<I>(packed, start + HIGH + plane * QUAD_BYTES, QUAD, part));
            quads[0] = isa.or_bytes(quads[0], isa.shift_left::<4>(high, 48));
            quads[1] = isa.or_bytes(quads[1], isa.shift_left::<2>(high, 48));
            quads[2] = isa.or_bytes(quads[2], isa.shift_right::<0>(high, 48));
            quads[3] = isa.or_bytes(quads[3], isa.shift_right::<2>(high, 48));
        }
        let first = isa.load_widen_signed(lanes::<I>(packed, start, 1, part));
        let second = isa.load_widen_signed(lanes::<I>(packed, start + LANES, 1, part));
        Quads { bytes, factors: [first, second] }
    }

    #[inline(always)]
    fn scales<I: Isa>(isa: I, packed: &[u8], _sub_block: usize, part: usize) -> (I::Float, I::Float) {
        (isa.load_half_bytes(lanes::<I>(packed, 0, 2, part)), isa.splat(0.0))
    }

    #[inline(always)]
    fn dot<I: Isa>(isa: I, quads: &Quads<I>, inputs: &QuantBlock) -> I::Int {
        let [q0, q1, q2, q3, q4, q5, q6, q7] = quads.bytes;
        let (first, second) = inputs.quants.split_at(HALF);
        let first = isa.dot_unsigned::<4, 2>(&[q0, q1, q2, q3], first);
        let second = isa.dot_unsigned::<4, 2>(&[q4, q5, q6, q7], second);
        let first = isa.add_int(first, isa.splat_int(-OFFSET * inputs.first_half));
        let second = isa.add_int(second, isa.splat_int(-OFFSET * (inputs.sum - inputs.first_half)));
        isa.add_int(isa.mul_int(first, quads.factors[0]), isa.mul_int(second, quads.factors[1]))
    }
}
