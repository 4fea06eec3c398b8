//! Rotary position embedding of one head: interleaved pairs turned by the angles of the row's position.

use super::Kernel;
use super::isa::Isa;

/// Turns pair `i` of `head` by `turns[i]`, then multiplies the whole head by `scale`.
///
/// Plain arithmetic: the compiler may use wide instructions, but fuses nothing, so every set gives the same bits.
pub(crate) struct Rotate<'a> {
    pub(crate) head: &'a mut [f32],
    /// Cosine and sine for each pair; dimensions beyond them are not turned.
    pub(crate) turns: &'a [[f32; 2]],
    pub(crate) scale: f32,
}

impl Kernel for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _isa: I) {
        for ([x, y], [cosine, sine]) in self.head.as_chunks_mut::<2>().0.iter_mut().zip(self.turns) {
            let (a, b) = (*x, *y);
            *x = a * cosine - b * sine;
            *y = a * sine + b * cosine;
        }
        for value in self.head {
            *value *= self.scale;
        }
    }
}
