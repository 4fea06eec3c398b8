//! Root-mean-square normalization of one row.
//!
//! Element `i` is squared into partial sum `i % 16`; the sixteen are added in a fixed tree.

use super::isa::{Isa, tree_sum};
use super::{Kernel, LANES};

/// `out = x / sqrt(mean(x²) + epsilon) · weight`, for a length that is a multiple of 16.
pub(crate) struct RmsNorm<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) weight: &'a [f32],
    pub(crate) epsilon: f32,
    pub(crate) out: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let mut sums = [isa.splat(0.0); 2];
        for lanes in self.x.as_chunks::<LANES>().0 {
            for (part, x) in lanes.chunks_exact(I::LANES).enumerate() {
                let x = isa.load(x);
                sums[part] = isa.fma(x, x, sums[part]);
            }
        }
        let mut lanes = [0.0; LANES];
        for (part, out) in lanes.chunks_exact_mut(I::LANES).enumerate() {
            isa.store(sums[part], out);
        }
        let mean = tree_sum(lanes) / self.x.len() as f32;
        let scale = isa.splat(1.0 / (mean + self.epsilon).sqrt());
        let rows = self.x.chunks_exact(I::LANES).zip(self.weight.chunks_exact(I::LANES));
        for ((x, weight), out) in rows.zip(self.out.chunks_exact_mut(I::LANES)) {
            isa.store(isa.mul(isa.mul(isa.load(x), scale), isa.load(weight)), out);
        }
    }
}
