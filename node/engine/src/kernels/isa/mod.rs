//! The operations that kernels are made of, and the three instruction sets that provide them.
//!
//! A value of an [`Isa`] type is the proof that the machine has its instructions: it comes from detection alone. Every
//! operation is defined by its implementation in [`Scalar`]; the others give the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use scalar::Scalar;

/// Columns of one quad: the bytes of a row that are multiplied together in one lane.
pub(crate) const QUAD: usize = 4;

/// Operations on [`Isa::LANES`] lanes of 32 bits.
///
/// Loads and stores take the first lanes of their slice and panic when it is shorter; kernels pass slices whose length
/// the compiler sees, so that the check vanishes.
pub(crate) trait Isa: Copy {
    /// Lanes of one register: 8 or 16.
    const LANES: usize;
    /// Parts that sixteen lanes are made of.
    const PARTS: usize = super::LANES / Self::LANES;
    /// Most rows of activations that share one unpacking of weights, by the number of registers.
    const TILE: usize;

    type Float: Copy;
    type Int: Copy;
    /// Four bytes a lane.
    type Bytes: Copy;

    fn splat(self, value: f32) -> Self::Float;
    fn load(self, from: &[f32]) -> Self::Float;
    fn store(self, value: Self::Float, to: &mut [f32]);
    /// Little-endian 32-bit floats.
    fn load_float_bytes(self, from: &[u8]) -> Self::Float;
    /// Little-endian 16-bit floats, widened exactly.
    fn load_half_bytes(self, from: &[u8]) -> Self::Float;
    /// 16-bit floats by their bits, widened exactly.
    fn load_halves(self, from: &[u16]) -> Self::Float;
    /// Rounds to 16-bit floats, ties to even.
    fn store_halves(self, value: Self::Float, to: &mut [u16]);

    fn add(self, a: Self::Float, b: Self::Float) -> Self::Float;
    fn sub(self, a: Self::Float, b: Self::Float) -> Self::Float;
    fn mul(self, a: Self::Float, b: Self::Float) -> Self::Float;
    fn div(self, a: Self::Float, b: Self::Float) -> Self::Float;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::Float, b: Self::Float, c: Self::Float) -> Self::Float;
    /// `a < b ? a : b`, so `b` when either is NaN.
    fn min(self, a: Self::Float, b: Self::Float) -> Self::Float;
    /// `a > b ? a : b`, so `b` when either is NaN.
    fn max(self, a: Self::Float, b: Self::Float) -> Self::Float;
    /// `x < bound ? 0 : value`.
    fn zero_below(self, value: Self::Float, x: Self::Float, bound: Self::Float) -> Self::Float;
    /// Rounds to whole numbers, ties to even. Any result will do for NaN and for values beyond ±2²².
    fn round(self, value: Self::Float) -> Self::Int;
    /// The bits of the absolute value, as a number that orders as the absolute values do, with NaN above infinity.
    fn absolute_bits(self, value: Self::Float) -> Self::Int;

    fn splat_int(self, value: i32) -> Self::Int;
    fn to_float(self, value: Self::Int) -> Self::Float;
    fn add_int(self, a: Self::Int, b: Self::Int) -> Self::Int;
    fn mul_int(self, a: Self::Int, b: Self::Int) -> Self::Int;
    fn max_int(self, a: Self::Int, b: Self::Int) -> Self::Int;
    /// Sum of the lanes.
    fn sum_lanes(self, value: Self::Int) -> i32;
    /// Largest of the lanes.
    fn max_lanes(self, value: Self::Int) -> i32;
    /// 2 to the power of each lane, for -126 to 127. Any result will do for others.
    fn power_of_two(self, exponent: Self::Int) -> Self::Float;
    /// Lanes of -128 to 127 as bytes.
    fn store_narrow(self, value: Self::Int, to: &mut [i8]);
    /// Unsigned bytes, one a lane.
    fn load_widen(self, from: &[u8]) -> Self::Int;
    /// Signed bytes, one a lane.
    fn load_widen_signed(self, from: &[u8]) -> Self::Int;

    /// Four bytes a lane.
    fn load_bytes(self, from: &[u8]) -> Self::Bytes;
    /// Each byte shifted right by `BITS`, then masked. `mask` fits into `8 - BITS` bits.
    fn shift_right<const BITS: u32>(self, value: Self::Bytes, mask: u8) -> Self::Bytes;
    /// Each byte shifted left by `BITS`, then masked. The low `BITS` bits of `mask` are zero.
    fn shift_left<const BITS: u32>(self, value: Self::Bytes, mask: u8) -> Self::Bytes;
    fn or_bytes(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// Asks for memory that will be read soon, beyond the slice.
    fn prefetch(self, block: &[u8]);

    /// In each lane, the sum over all quads of the unsigned bytes of `weights` times the signed bytes of `inputs`.
    ///
    /// `CHAIN` quads of such products, with inputs of -127 to 127, fit into 16 bits: 8 for weights up to 15, 4 up
    /// to 31, 2 up to 63.
    fn dot_unsigned<const QUADS: usize, const CHAIN: usize>(
        self,
        weights: &[Self::Bytes; QUADS],
        inputs: &[i8],
    ) -> Self::Int;

    /// In each lane, the sum over eight quads of the signed bytes of `weights`, -128 among them, times the bytes of
    /// `inputs`, -127 to 127, whose sum is `sum`.
    fn dot_signed(self, weights: &[Self::Bytes; 8], inputs: &[i8; 32], sum: i32) -> Self::Int;
}

/// Adds sixteen partial sums in a fixed tree: halves, quarters, eighths.
pub(crate) fn tree_sum(mut lanes: [f32; super::LANES]) -> f32 {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0]
}

/// One intrinsic as a method: the token `self` proves that the machine has the instruction.
#[cfg(target_arch = "x86_64")]
macro_rules! operations {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $result:ty = $body:expr;)*) => {
        $(#[inline(always)]
        fn $name(self, $($argument: $kind),*) -> $result {
            // SAFETY: `self` proves that the machine has the instructions.
            unsafe { $body }
        })*
    };
}

/// Loads and stores: the slice is cut to the bytes that the intrinsic touches, so it is as long as it must be.
#[cfg(target_arch = "x86_64")]
macro_rules! memory_operations {
    ($($name:ident($($argument:ident: $kind:ty),*)[$slice:ident; $length:expr] $(-> $result:ty)? = $body:expr;)*) => {
        $(#[inline(always)]
        fn $name(self, $($argument: $kind),*) $(-> $result)? {
            assert!($slice.len() >= $length);
            // SAFETY: the slice has the length that is read or written, with no demand on alignment; `self` proves
            // that the machine has the instructions.
            unsafe { $body }
        })*
    };
}

#[cfg(target_arch = "x86_64")]
use {memory_operations, operations};
