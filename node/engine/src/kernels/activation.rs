//! Rows of activations made ready to be multiplied: as floats, and as signed bytes in blocks of 32.
//!
//! The rule of quantization, for each block of 32 whatever the type of the weights: `scale = largest / 127`, each value
//! times `127 / largest` rounded to even. A block whose largest magnitude is below [`SMALLEST`] is all zeros; one with
//! an infinity or a NaN has a scale of NaN, so that whatever it touches becomes NaN.

use std::ops::Range;

use super::Kernel;
use super::isa::Isa;

/// Activations that share a scale.
pub(crate) const BLOCK: usize = 32;

/// Largest magnitude of a quantized activation. Never -128: kernels rely on it.
const LARGEST_QUANT: f32 = 127.0;

/// Below this magnitude, 2⁻¹²⁰, a block counts as zero: 127 divided by it is still finite.
const SMALLEST: f32 = f32::from_bits(7 << 23);

/// Quantized activations of one block, with what their products are multiplied by and sums that kernels need of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QuantBlock {
    /// Signed bytes, -127 to 127.
    pub(crate) quants: [i8; BLOCK],
    /// Value of one unit.
    pub(crate) scale: f32,
    /// `scale` times the sum of the quants, for weights with a minimum.
    pub(crate) scaled_sum: f32,
    /// Sum of the quants, for weights stored with an offset.
    pub(crate) sum: i32,
    /// Sum of the first half of the quants.
    pub(crate) first_half: i32,
}

/// Which forms of the activations some weights need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Signed bytes, for quantized weights.
    pub(crate) quants: bool,
    /// Floats, for F32 and F16 weights.
    pub(crate) values: bool,
}

impl Needs {
    pub(crate) fn or(self, other: Self) -> Self {
        Self { quants: self.quants || other.quants, values: self.values || other.values }
    }
}

/// Rows of activations of one width.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    width: usize,
    needs: Needs,
    values: Vec<f32>,
    blocks: Vec<QuantBlock>,
}

/// One row of [`Activations`]; what was not needed is empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ActivationRow<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) blocks: &'a [QuantBlock],
}

impl Activations {
    /// Makes room for `rows` rows of `width` values, a multiple of [`BLOCK`].
    pub(crate) fn reset(&mut self, rows: usize, width: usize, needs: Needs) {
        self.width = width;
        self.needs = needs;
        let blocks = if needs.quants { rows * width / BLOCK } else { 0 };
        self.blocks.resize(blocks, QuantBlock::default());
        self.values.resize(if needs.values { rows * width } else { 0 }, 0.0);
    }

    fn span(&self, row: usize) -> (Range<usize>, Range<usize>) {
        let span = row * self.width..(row + 1) * self.width;
        let blocks = span.start / BLOCK..span.end / BLOCK;
        (if self.needs.values { span } else { 0..0 }, if self.needs.quants { blocks } else { 0..0 })
    }

    pub(crate) fn row(&self, row: usize) -> ActivationRow<'_> {
        let (values, blocks) = self.span(row);
        ActivationRow { values: &self.values[values], blocks: &self.blocks[blocks] }
    }

    /// The kernel that stores `values` as row `row`.
    pub(crate) fn prepare<'a>(&'a mut self, row: usize, values: &'a [f32]) -> Prepare<'a> {
        let (kept, blocks) = self.span(row);
        if self.needs.values {
            self.values[kept].copy_from_slice(values);
        }
        Prepare { values, blocks: &mut self.blocks[blocks] }
    }
}

/// Quantizes one row, as many blocks as there is room for.
pub(crate) struct Prepare<'a> {
    values: &'a [f32],
    blocks: &'a mut [QuantBlock],
}

impl Kernel for Prepare<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for (values, block) in self.values.as_chunks::<BLOCK>().0.iter().zip(self.blocks) {
            quantize(isa, values, block);
        }
    }
}

#[inline(always)]
fn quantize<I: Isa>(isa: I, values: &[f32; BLOCK], block: &mut QuantBlock) {
    let mut largest = isa.splat_int(0);
    for lanes in values.chunks_exact(I::LANES) {
        largest = isa.max_int(largest, isa.absolute_bits(isa.load(lanes)));
    }
    let largest = f32::from_bits(isa.max_lanes(largest).cast_unsigned());
    if !largest.is_finite() {
        *block = QuantBlock { scale: f32::NAN, scaled_sum: f32::NAN, ..QuantBlock::default() };
        return;
    }
    if largest < SMALLEST {
        *block = QuantBlock::default();
        return;
    }
    let inverse = isa.splat(LARGEST_QUANT / largest);
    let mut halves = [isa.splat_int(0); 2];
    for (index, (lanes, out)) in
        values.chunks_exact(I::LANES).zip(block.quants.chunks_exact_mut(I::LANES)).enumerate()
    {
        let quantized = isa.round(isa.mul(isa.load(lanes), inverse));
        halves[index / I::PARTS] = isa.add_int(halves[index / I::PARTS], quantized);
        isa.store_narrow(quantized, out);
    }
    block.first_half = isa.sum_lanes(halves[0]);
    block.sum = block.first_half + isa.sum_lanes(halves[1]);
    block.scale = largest / LARGEST_QUANT;
    block.scaled_sum = block.scale * block.sum as f32;
}
