//! Q4_K and Q5_K: blocks of 256 numbers in eight sub-blocks of 32, each with a six-bit scale and minimum.
//!
//! ```text
//! 16 scales (f16) | 16 minimums (f16) | 8 sub-blocks of
//!     16 scales (u8) | 16 minimums (u8) | 4 × 64 bytes of low four bits | Q5_K: 64 bytes of fifth bits
//! ```
//! A weight is `scale · sub-scale · number − minimum · sub-minimum`. The products of scales have 17 bits at most, so
//! they are exact in an f32 and a sub-block is computed as a Q4_1 block is.

use super::{
    BLOCK, Format, HALF_BYTES, Isa, LANES, NIBBLE_BYTES, QUAD_BYTES, Quads, QuantBlock, QuantFormat,
    TensorType, bit_place, fifth_bits, half_of, lanes, nibble_of, nibble_quads, or_quads, put_half,
    put_nibble,
};
use crate::gguf::{k_nibble, k_six_bit_pair};

/// Four bits.
pub(in crate::kernels) struct Q4K;
/// Five bits.
pub(in crate::kernels) struct Q5K;

const COLUMNS: usize = 256;
/// Where the sub-blocks begin.
const HEADER: usize = 2 * HALF_BYTES;
/// Where a sub-block's numbers begin: after a scale and a minimum for each row.
const NUMBERS: usize = 2 * LANES;
/// Where a sub-block's fifth bits begin.
const HIGH: usize = NUMBERS + NIBBLE_BYTES;
const Q4K_SUB_BLOCK: usize = HIGH;
const Q5K_SUB_BLOCK: usize = HIGH + QUAD_BYTES;

/// Packs what the two types share: scales, minimums and the low four bits at `raw_numbers`.
fn pack_common(raw: &[u8], raw_numbers: usize, row: usize, packed: &mut [u8], sub_block_bytes: usize) {
    put_half(raw, row, packed, 0);
    put_half(&raw[2..], row, packed, HALF_BYTES);
    for (index, sub_block) in packed[HEADER..].chunks_exact_mut(sub_block_bytes).enumerate() {
        (sub_block[row], sub_block[LANES + row]) = k_six_bit_pair(&raw[4..16], index);
        for column in 0..BLOCK {
            let number = k_nibble(&raw[raw_numbers..], index * BLOCK + column);
            put_nibble(&mut sub_block[NUMBERS..], row, column, number);
        }
    }
}

/// `scale · sub-scale · number − minimum · sub-minimum`.
fn weight(packed: &[u8], sub_block: &[u8], row: usize, number: u8) -> f32 {
    let scale = half_of(packed, 0, row) * f32::from(sub_block[row]);
    let minimum = half_of(packed, HALF_BYTES, row) * f32::from(sub_block[LANES + row]);
    scale * f32::from(number) - minimum
}

#[inline(always)]
fn scales<I: Isa>(isa: I, packed: &[u8], sub_block: usize, part: usize) -> (I::Float, I::Float) {
    let scale = isa.load_half_bytes(lanes::<I>(packed, 0, 2, part));
    let minimum = isa.load_half_bytes(lanes::<I>(packed, HALF_BYTES, 2, part));
    let sub_scale = isa.to_float(isa.load_widen(lanes::<I>(packed, sub_block, 1, part)));
    let sub_minimum = isa.to_float(isa.load_widen(lanes::<I>(packed, sub_block + LANES, 1, part)));
    (isa.mul(scale, sub_scale), isa.sub(isa.splat(0.0), isa.mul(minimum, sub_minimum)))
}

impl Format for Q4K {
    const KIND: TensorType = TensorType::Q4K;
    const COLUMNS: usize = COLUMNS;
    const BYTES: usize = HEADER + COLUMNS / BLOCK * Q4K_SUB_BLOCK;

    fn pack(raw: &[u8], row: usize, packed: &mut [u8]) {
        pack_common(raw, 16, row, packed, Q4K_SUB_BLOCK);
    }

    fn weight(packed: &[u8], row: usize, column: usize) -> f32 {
        let sub_block = &packed[HEADER + column / BLOCK * Q4K_SUB_BLOCK..];
        weight(packed, sub_block, row, nibble_of(&sub_block[NUMBERS..], row, column % BLOCK))
    }
}

impl QuantFormat for Q4K {
    const MINIMUM: bool = true;

    #[inline(always)]
    fn unpack<I: Isa>(isa: I, packed: &[u8], sub_block: usize, part: usize) -> Quads<I> {
        let numbers = HEADER + sub_block * Q4K_SUB_BLOCK + NUMBERS;
        Quads::new(isa, nibble_quads(isa, packed, numbers, part))
    }

    #[inline(always)]
    fn scales<I: Isa>(isa: I, packed: &[u8], sub_block: usize, part: usize) -> (I::Float, I::Float) {
        scales(isa, packed, HEADER + sub_block * Q4K_SUB_BLOCK, part)
    }

    #[inline(always)]
    fn dot<I: Isa>(isa: I, quads: &Quads<I>, inputs: &QuantBlock) -> I::Int {
        isa.dot_unsigned::<8, 8>(&quads.bytes, &inputs.quants)
    }
}

impl Format for Q5K {
    const KIND: TensorType = TensorType::Q5K;
    const COLUMNS: usize = COLUMNS;
    const BYTES: usize = HEADER + COLUMNS / BLOCK * Q5K_SUB_BLOCK;

    fn pack(raw: &[u8], row: usize, packed: &mut [u8]) {
        pack_common(raw, 48, row, packed, Q5K_SUB_BLOCK);
        for (index, sub_block) in packed[HEADER..].chunks_exact_mut(Q5K_SUB_BLOCK).enumerate() {
            for column in 0..BLOCK {
                let (byte, bit) = bit_place(row, column);
                sub_block[HIGH + byte] |= ((raw[16 + column] >> index) & 1) << bit;
            }
        }
    }

    fn weight(packed: &[u8], row: usize, column: usize) -> f32 {
        let sub_block = &packed[HEADER + column / BLOCK * Q5K_SUB_BLOCK..];
        let (byte, bit) = bit_place(row, column % BLOCK);
        let high = (sub_block[HIGH + byte] >> bit) & 1;
        let low = nibble_of(&sub_block[NUMBERS..], row, column % BLOCK);
        weight(packed, sub_block, row, low | (high << 4))
    }
}

impl QuantFormat for Q5K {
    const MINIMUM: bool = true;

    #[inline(always)]
    fn unpack<I: Isa>(isa: I, packed: &[u8], sub_block: usize, part: usize) -> Quads<I> {
        let start = HEADER + sub_block * Q5K_SUB_BLOCK;
        let low = nibble_quads(isa, packed, start + NUMBERS, part);
        let high = fifth_bits(isa, packed, start + HIGH, part);
        Quads::new(isa, or_quads(isa, low, high))
    }

    #[inline(always)]
    fn scales<I: Isa>(isa: I, packed: &[u8], sub_block: usize, part: usize) -> (I::Float, I::Float) {
        scales(isa, packed, HEADER + sub_block * Q5K_SUB_BLOCK, part)
    }

    #[inline(always)]
    fn dot<I: Isa>(isa: I, quads: &Quads<I>, inputs: &QuantBlock) -> I::Int {
        isa.dot_unsigned::<8, 4>(&quads.bytes, &inputs.quants)
    }
}
