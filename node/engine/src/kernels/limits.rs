//! Work at the machine's limits, with nothing of a model in it: what the engine's speed is compared with.

use std::hint::black_box;

use super::activation::BLOCK;
use super::isa::{Isa, QUAD};
use super::{Kernel, LANES};

/// Reads all of a memory once, and gives the bits that are set in any of its words.
pub(crate) struct ReadOnce<'a>(pub(crate) &'a [u8]);

impl Kernel for ReadOnce<'_> {
    type Output = i32;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> i32 {
        // Four sums, so that no load waits for the one before it.
        let mut sums = [isa.splat_int(0); 4];
        for lines in self.0.chunks_exact(4 * QUAD * I::LANES) {
            isa.prefetch(lines);
            for (sum, line) in sums.iter_mut().zip(lines.chunks_exact(QUAD * I::LANES)) {
                *sum = isa.add_int(*sum, isa.absolute_bits(isa.load_float_bytes(line)));
            }
        }
        let [a, b, c, d] = sums;
        isa.sum_lanes(isa.add_int(isa.add_int(a, b), isa.add_int(c, d)))
    }
}

/// Multiplies four-bit weights by bytes, all in registers and the nearest cache, as the inner loop of a prefill does.
pub(crate) struct MultiplyOnly {
    pub(crate) rounds: usize,
}

impl MultiplyOnly {
    const INPUTS: usize = 8;

    /// Multiplications of one round, each with an addition.
    pub(crate) const PRODUCTS: usize = Self::INPUTS * BLOCK * LANES;
}

impl Kernel for MultiplyOnly {
    type Output = i32;

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> i32 {
        let weights = [7_u8; QUAD * LANES];
        let quads = [isa.load_bytes(&black_box(weights)[..QUAD * I::LANES]); BLOCK / QUAD];
        let inputs = [[3_i8; BLOCK]; Self::INPUTS];
        let mut sum = isa.splat_int(0);
        for _ in 0..self.rounds * I::PARTS {
            for input in black_box(&inputs) {
                sum = isa.add_int(sum, isa.dot_unsigned::<8, 8>(&quads, input));
            }
        }
        isa.sum_lanes(sum)
    }
}
