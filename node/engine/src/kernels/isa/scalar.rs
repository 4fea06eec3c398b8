//! Plain Rust: the definition that the other instruction sets are held to.

use std::array::from_fn;

use half::f16;

use super::{Isa, QUAD};

const LANES: usize = 16;

/// Sixteen lanes in arrays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scalar;

impl Isa for Scalar {
    const LANES: usize = LANES;
    const TILE: usize = 4;

    type Float = [f32; LANES];
    type Int = [i32; LANES];
    type Bytes = [u8; LANES * QUAD];

    fn splat(self, value: f32) -> Self::Float {
        [value; LANES]
    }

    fn load(self, from: &[f32]) -> Self::Float {
        from_fn(|lane| from[lane])
    }

    fn store(self, value: Self::Float, to: &mut [f32]) {
        to[..LANES].copy_from_slice(&value);
    }

    fn load_float_bytes(self, from: &[u8]) -> Self::Float {
        let floats = &from.as_chunks::<4>().0[..LANES];
        from_fn(|lane| f32::from_le_bytes(floats[lane]))
    }

    fn load_half_bytes(self, from: &[u8]) -> Self::Float {
        let halves = &from.as_chunks::<2>().0[..LANES];
        from_fn(|lane| f16::from_le_bytes(halves[lane]).to_f32())
    }

    fn load_halves(self, from: &[u16]) -> Self::Float {
        from_fn(|lane| f16::from_bits(from[lane]).to_f32())
    }

    fn store_halves(self, value: Self::Float, to: &mut [u16]) {
        to[..LANES].copy_from_slice(&value.map(|lane| f16::from_f32(lane).to_bits()));
    }

    fn add(self, a: Self::Float, b: Self::Float) -> Self::Float {
        from_fn(|lane| a[lane] + b[lane])
    }

    fn sub(self, a: Self::Float, b: Self::Float) -> Self::Float {
        from_fn(|lane| a[lane] - b[lane])
    }

    fn mul(self, a: Self::Float, b: Self::Float) -> Self::Float {
        from_fn(|lane| a[lane] * b[lane])
    }

    fn div(self, a: Self::Float, b: Self::Float) -> Self::Float {
        from_fn(|lane| a[lane] / b[lane])
    }

    fn fma(self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float {
        from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
    }

    fn min(self, a: Self::Float, b: Self::Float) -> Self::Float {
        from_fn(|lane| if a[lane] < b[lane] { a[lane] } else { b[lane] })
    }

    fn max(self, a: Self::Float, b: Self::Float) -> Self::Float {
        from_fn(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }

    fn zero_below(self, value: Self::Float, x: Self::Float, bound: Self::Float) -> Self::Float {
        from_fn(|lane| if x[lane] < bound[lane] { 0.0 } else { value[lane] })
    }

    fn round(self, value: Self::Float) -> Self::Int {
        // Within ±2²², adding 1.5 · 2²³ leaves no room for a fraction, so the addition itself rounds to even.
        const ROUND: f32 = 12_582_912.0;
        value.map(|lane| ((lane + ROUND) - ROUND) as i32)
    }

    fn absolute_bits(self, value: Self::Float) -> Self::Int {
        value.map(|lane| (lane.to_bits() & 0x7fff_ffff).cast_signed())
    }

    fn splat_int(self, value: i32) -> Self::Int {
        [value; LANES]
    }

    fn to_float(self, value: Self::Int) -> Self::Float {
        value.map(|lane| lane as f32)
    }

    fn add_int(self, a: Self::Int, b: Self::Int) -> Self::Int {
        from_fn(|lane| a[lane].wrapping_add(b[lane]))
    }

    fn mul_int(self, a: Self::Int, b: Self::Int) -> Self::Int {
        from_fn(|lane| a[lane].wrapping_mul(b[lane]))
    }

    fn max_int(self, a: Self::Int, b: Self::Int) -> Self::Int {
        from_fn(|lane| a[lane].max(b[lane]))
    }

    fn sum_lanes(self, value: Self::Int) -> i32 {
        value.into_iter().fold(0, i32::wrapping_add)
    }

    fn max_lanes(self, value: Self::Int) -> i32 {
        value.into_iter().fold(i32::MIN, i32::max)
    }

    fn power_of_two(self, exponent: Self::Int) -> Self::Float {
        // The exponent of an f32 stands above its 23 bits of mantissa, with a bias of 127.
        exponent.map(|lane| f32::from_bits(lane.wrapping_add(127).cast_unsigned() << 23))
    }

    fn store_narrow(self, value: Self::Int, to: &mut [i8]) {
        to[..LANES].copy_from_slice(&value.map(|lane| lane as i8));
    }

    fn load_widen(self, from: &[u8]) -> Self::Int {
        from_fn(|lane| i32::from(from[lane]))
    }

    fn load_widen_signed(self, from: &[u8]) -> Self::Int {
        from_fn(|lane| i32::from(from[lane].cast_signed()))
    }

    fn load_bytes(self, from: &[u8]) -> Self::Bytes {
        from_fn(|byte| from[byte])
    }

    fn shift_right<const BITS: u32>(self, value: Self::Bytes, mask: u8) -> Self::Bytes {
        value.map(|byte| (byte >> BITS) & mask)
    }

    fn shift_left<const BITS: u32>(self, value: Self::Bytes, mask: u8) -> Self::Bytes {
        value.map(|byte| (byte << BITS) & mask)
    }

    fn or_bytes(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes {
        from_fn(|byte| a[byte] | b[byte])
    }

    fn prefetch(self, _block: &[u8]) {}

    fn dot_unsigned<const QUADS: usize, const CHAIN: usize>(
        self,
        weights: &[Self::Bytes; QUADS],
        inputs: &[i8],
    ) -> Self::Int {
        dot(weights, inputs, i32::from)
    }

    fn dot_signed(self, weights: &[Self::Bytes; 8], inputs: &[i8; 32], _sum: i32) -> Self::Int {
        dot(weights, inputs, |byte| i32::from(byte.cast_signed()))
    }
}

fn dot(weights: &[[u8; LANES * QUAD]], inputs: &[i8], widen: impl Fn(u8) -> i32) -> [i32; LANES] {
    let mut sums = [0; LANES];
    for (quad, inputs) in weights.iter().zip(inputs.as_chunks::<QUAD>().0) {
        for (sum, bytes) in sums.iter_mut().zip(quad.as_chunks::<QUAD>().0) {
            for (&byte, &input) in bytes.iter().zip(inputs) {
                *sum += widen(byte) * i32::from(input);
            }
        }
    }
    sums
}
