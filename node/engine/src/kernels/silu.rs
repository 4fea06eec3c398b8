//! The gate of the feed-forward layer.

use super::Kernel;
use super::exp::exp;
use super::isa::Isa;

/// `gate = gate / (1 + exp(-gate)) · up`, for a length that is a multiple of 16.
pub(crate) struct SiluMultiply<'a> {
    pub(crate) gate: &'a mut [f32],
    pub(crate) up: &'a [f32],
}

impl Kernel for SiluMultiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for (gate, up) in self.gate.chunks_exact_mut(I::LANES).zip(self.up.chunks_exact(I::LANES)) {
            let x = isa.load(gate);
            let one_and_exp = isa.add(isa.splat(1.0), exp(isa, isa.sub(isa.splat(0.0), x)));
            isa.store(isa.mul(isa.div(x, one_and_exp), isa.load(up)), gate);
        }
    }
}
