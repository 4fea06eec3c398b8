//! How each tensor type is packed, unpacked into lanes, and multiplied.
//!
//! One file a family. A quantized block of 32 columns contributes to a row's result
//! `dot · input scale · scale (+ minimum · scaled sum of the inputs)`, where `dot` is an exact integer; the float
//! operations and their order are in [`super::matmul`], the same for every type.

mod eight_bits;
mod five_bits;
mod four_bits;
mod k_four_five;
mod k_six;
mod plain;

pub(super) use eight_bits::Q8_0;
pub(super) use five_bits::Q5_0;
pub(super) use four_bits::{Q4_0, Q4_1};
pub(super) use k_four_five::{Q4K, Q5K};
pub(super) use k_six::Q6K;
pub(super) use plain::{F16, F32, PlainFormat};

use super::LANES;
use super::activation::{BLOCK, QuantBlock};
use super::isa::{Isa, QUAD};
use crate::gguf::TensorType;

/// Packing: from a block of one row in the file to its place among sixteen rows.
pub(super) trait Format {
    /// The type in the file.
    const KIND: TensorType;
    /// Columns of a packed block.
    const COLUMNS: usize;
    /// Bytes of a packed block of sixteen rows.
    const BYTES: usize;

    /// Puts the columns of row `row` into a packed block that was zero.
    fn pack(raw: &[u8], row: usize, packed: &mut [u8]);

    /// One weight of a packed block, as a float.
    fn weight(packed: &[u8], row: usize, column: usize) -> f32;
}

/// Types whose weights are small whole numbers with scales.
pub(super) trait QuantFormat: Format {
    /// Whether a minimum is added to each weight.
    const MINIMUM: bool;
    /// Blocks of 32 columns in a packed block.
    const SUB_BLOCKS: usize = Self::COLUMNS / BLOCK;

    /// The whole numbers of 32 columns, in the lanes of part `part`.
    fn unpack<I: Isa>(isa: I, packed: &[u8], sub_block: usize, part: usize) -> Quads<I>;

    /// The rows' scales, and their minimums where [`Self::MINIMUM`] says so.
    fn scales<I: Isa>(isa: I, packed: &[u8], sub_block: usize, part: usize) -> (I::Float, I::Float);

    /// The exact sum of weights times inputs, offsets taken off.
    fn dot<I: Isa>(isa: I, quads: &Quads<I>, inputs: &QuantBlock) -> I::Int;
}

/// 32 columns of some rows: four columns a lane in each of eight registers.
pub(super) struct Quads<I: Isa> {
    bytes: [I::Bytes; QUADS],
    /// Whole-number scales of the two halves, for Q6_K alone.
    factors: [I::Int; 2],
}

impl<I: Isa> Quads<I> {
    #[inline(always)]
    fn new(isa: I, bytes: [I::Bytes; QUADS]) -> Self {
        Self { bytes, factors: [isa.splat_int(1); 2] }
    }
}

/// Quads of 32 columns.
const QUADS: usize = BLOCK / QUAD;
/// Bytes of one column quad of sixteen rows.
const QUAD_BYTES: usize = QUAD * LANES;
/// Bytes of 32 columns of sixteen rows in four bits each.
const NIBBLE_BYTES: usize = BLOCK * LANES / 2;
/// Bytes of one 16-bit float for each of sixteen rows.
const HALF_BYTES: usize = 2 * LANES;

/// Where the byte of a column stands among quads.
const fn quad_byte(row: usize, column: usize) -> usize {
    column / QUAD * QUAD_BYTES + row * QUAD + column % QUAD
}

/// Where four bits of a column stand: quads two by two, the first in the low halves. Gives the byte and the shift.
const fn nibble_place(row: usize, column: usize) -> (usize, u32) {
    let byte = quad_byte(row, column / (2 * QUAD) * QUAD + column % QUAD);
    (byte, if column % (2 * QUAD) < QUAD { 0 } else { 4 })
}

/// Where one bit of a column stands in a plane of 64 bytes: quad `j` in bit `j`.
const fn bit_place(row: usize, column: usize) -> (usize, u32) {
    (row * QUAD + column % QUAD, (column / QUAD) as u32)
}

/// The part of a packed array that holds lanes of `bytes_a_row` bytes of part `part`.
#[inline(always)]
fn lanes<I: Isa>(packed: &[u8], offset: usize, bytes_a_row: usize, part: usize) -> &[u8] {
    let start = offset + part * I::LANES * bytes_a_row;
    &packed[start..start + I::LANES * bytes_a_row]
}

/// Eight quads of four-bit numbers from [`NIBBLE_BYTES`] bytes.
#[inline(always)]
fn nibble_quads<I: Isa>(isa: I, packed: &[u8], offset: usize, part: usize) -> [I::Bytes; QUADS] {
    let first = isa.load_bytes(lanes::<I>(packed, offset, QUAD, part));
    let mut quads = [first; QUADS];
    for (pair, quads) in quads.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let both = isa.load_bytes(lanes::<I>(packed, offset + pair * QUAD_BYTES, QUAD, part));
        *quads = [isa.shift_right::<0>(both, 15), isa.shift_right::<4>(both, 15)];
    }
    quads
}

/// Each quad of one array or-ed with the same of the other.
#[inline(always)]
fn or_quads<I: Isa>(isa: I, mut low: [I::Bytes; QUADS], high: [I::Bytes; QUADS]) -> [I::Bytes; QUADS] {
    for (low, high) in low.iter_mut().zip(high) {
        *low = isa.or_bytes(*low, high);
    }
    low
}

/// Eight quads of the fifth bit, in place, from a plane of [`QUAD_BYTES`] bytes.
#[inline(always)]
fn fifth_bits<I: Isa>(isa: I, packed: &[u8], offset: usize, part: usize) -> [I::Bytes; QUADS] {
    let plane = isa.load_bytes(lanes::<I>(packed, offset, QUAD, part));
    [
        isa.shift_left::<4>(plane, 16),
        isa.shift_left::<3>(plane, 16),
        isa.shift_left::<2>(plane, 16),
        isa.shift_left::<1>(plane, 16),
        isa.shift_right::<0>(plane, 16),
        isa.shift_right::<1>(plane, 16),
        isa.shift_right::<2>(plane, 16),
        isa.shift_right::<3>(plane, 16),
    ]
}

/// Copies a 16-bit float of the raw block to its row's place.
fn put_half(raw: &[u8], row: usize, packed: &mut [u8], offset: usize) {
    packed[offset + 2 * row..offset + 2 * row + 2].copy_from_slice(&raw[..2]);
}

fn half_of(packed: &[u8], offset: usize, row: usize) -> f32 {
    half::f16::from_le_bytes([packed[offset + 2 * row], packed[offset + 2 * row + 1]]).to_f32()
}

/// Sets four bits that were zero.
fn put_nibble(packed: &mut [u8], row: usize, column: usize, value: u8) {
    let (byte, shift) = nibble_place(row, column);
    packed[byte] |= value << shift;
}

fn nibble_of(packed: &[u8], row: usize, column: usize) -> u8 {
    let (byte, shift) = nibble_place(row, column);
    (packed[byte] >> shift) & 15
}

/// Runs an expression with `$F` as the format of a type.
macro_rules! with_format {
    ($kind:expr, $F:ident => $body:expr) => {
        match $kind {
            crate::gguf::TensorType::F32 => {
                type $F = crate::kernels::format::F32;
                $body
            }
            crate::gguf::TensorType::F16 => {
                type $F = crate::kernels::format::F16;
                $body
            }
            crate::gguf::TensorType::Q4_0 => {
                type $F = crate::kernels::format::Q4_0;
                $body
            }
            crate::gguf::TensorType::Q4_1 => {
                type $F = crate::kernels::format::Q4_1;
                $body
            }
            crate::gguf::TensorType::Q5_0 => {
                type $F = crate::kernels::format::Q5_0;
                $body
            }
            crate::gguf::TensorType::Q8_0 => {
                type $F = crate::kernels::format::Q8_0;
                $body
            }
            crate::gguf::TensorType::Q4K => {
                type $F = crate::kernels::format::Q4K;
                $body
            }
            crate::gguf::TensorType::Q5K => {
                type $F = crate::kernels::format::Q5K;
                $body
            }
            crate::gguf::TensorType::Q6K => {
                type $F = crate::kernels::format::Q6K;
                $body
            }
        }
    };
}
pub(super) use with_format;
