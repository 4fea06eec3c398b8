//! Multiplies groups of sixteen rows of a packed matrix by rows of activations.
//!
//! For one weight row and one activation row the order of operations is fixed, whatever else is computed beside it.
//! Quantized types, for each block of 32 columns in order, from `sum = 0`:
//!
//! ```text
//! sum = fma(float(dot) · input.scale, scale, sum)
//! sum = fma(minimum, input.scaled_sum, sum)          types with a minimum
//! ```
//!
//! Plain types: even columns into one sum and odd ones into another, each in order with `fma`; then the two are added.
//!
//! A tile of several activation rows shares the unpacking of the weights. Parts of a group (two with eight lanes) are
//! passed over one after the other: the second finds the group in the first-level cache.

use std::marker::PhantomData;
use std::ops::Range;

use super::activation::{ActivationRow, QuantBlock};
use super::format::{F16, F32, PlainFormat, Q4_0, Q4_1, Q4K, Q5_0, Q5K, Q6K, Q8_0, QuantFormat};
use super::isa::Isa;
use super::{Kernel, LANES, PackedMatrix};
use crate::gguf::TensorType;

/// What becomes of the products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// They replace what was there.
    Store,
    /// They are added to it.
    Add,
}

/// `out[row · stride + i]` for each activation row, and for weight row `i` counted from the first group's first row.
pub(crate) struct MatMul<'a> {
    pub(crate) matrix: &'a PackedMatrix,
    /// The memory that holds the matrix.
    pub(crate) weights: &'a [u8],
    pub(crate) groups: Range<usize>,
    pub(crate) rows: &'a [ActivationRow<'a>],
    pub(crate) out: &'a mut [f32],
    pub(crate) stride: usize,
    pub(crate) write: Write,
}

impl Kernel for MatMul<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        match self.matrix.kind {
            TensorType::F32 => self.multiply::<I, Plain<F32>>(isa),
            TensorType::F16 => self.multiply::<I, Plain<F16>>(isa),
            TensorType::Q4_0 => self.multiply::<I, Quantized<Q4_0>>(isa),
            TensorType::Q4_1 => self.multiply::<I, Quantized<Q4_1>>(isa),
            TensorType::Q5_0 => self.multiply::<I, Quantized<Q5_0>>(isa),
            TensorType::Q8_0 => self.multiply::<I, Quantized<Q8_0>>(isa),
            TensorType::Q4K => self.multiply::<I, Quantized<Q4K>>(isa),
            TensorType::Q5K => self.multiply::<I, Quantized<Q5K>>(isa),
            TensorType::Q6K => self.multiply::<I, Quantized<Q6K>>(isa),
        }
    }
}

impl MatMul<'_> {
    #[inline(always)]
    fn multiply<I: Isa, T: Tile>(mut self, isa: I) {
        let group_bytes = self.matrix.columns / T::COLUMNS * T::BYTES;
        let packed = &self.weights[self.matrix.range.clone()];
        for (index, group) in self.groups.clone().enumerate() {
            let group = &packed[group * group_bytes..(group + 1) * group_bytes];
            for part in 0..I::PARTS {
                self.tiles::<I, T>(isa, group, part, index * LANES + part * I::LANES);
            }
        }
    }

    /// All activation rows against one part of a group, in tiles as large as the registers allow.
    #[inline(always)]
    fn tiles<I: Isa, T: Tile>(&mut self, isa: I, group: &[u8], part: usize, column: usize) {
        let mut at = 0;
        if I::TILE >= 8 {
            at = self.tiles_of::<I, T, 8>(isa, group, part, column, at);
        }
        at = self.tiles_of::<I, T, 4>(isa, group, part, column, at);
        at = self.tiles_of::<I, T, 2>(isa, group, part, column, at);
        self.tiles_of::<I, T, 1>(isa, group, part, column, at);
    }

    /// As many tiles of `M` rows as there are from row `at`; gives the first row that is left.
    #[inline(always)]
    fn tiles_of<I: Isa, T: Tile, const M: usize>(
        &mut self,
        isa: I,
        group: &[u8],
        part: usize,
        column: usize,
        mut at: usize,
    ) -> usize {
        for rows in self.rows[at..].as_chunks::<M>().0 {
            // The first tile of a group is the one that waits for memory.
            let fetch = part == 0 && at == 0;
            let products = T::tile(isa, group, part, rows, fetch);
            for (row, product) in products.into_iter().enumerate() {
                let start = (at + row) * self.stride + column;
                let out = &mut self.out[start..start + I::LANES];
                match self.write {
                    Write::Store => isa.store(product, out),
                    Write::Add => isa.store(isa.add(product, isa.load(out)), out),
                }
            }
            at += M;
        }
        at
    }
}

/// The inner loop: one part of a group against `M` activation rows. With `fetch`, memory further on is asked for.
trait Tile {
    const COLUMNS: usize;
    const BYTES: usize;

    fn tile<I: Isa, const M: usize>(
        isa: I,
        group: &[u8],
        part: usize,
        rows: &[ActivationRow<'_>; M],
        fetch: bool,
    ) -> [I::Float; M];
}

/// Repeats a block for `$index` of 0 to 7, as far as it is below `$count`.
///
/// Written out, since each repetition must keep its sum in a register: the compiler leaves long loops as they are, with
/// their sums in memory.
macro_rules! each_below {
    ($count:ident, $index:ident => $body:block) => {
        each_below!(@ 0 1 2 3 4 5 6 7, $count, $index => $body);
    };
    (@ $($value:literal)*, $count:ident, $index:ident => $body:block) => {
        $(if $value < $count {
            let $index = $value;
            $body
        })*
    };
}

struct Quantized<F>(PhantomData<F>);

impl<F: QuantFormat> Tile for Quantized<F> {
    const COLUMNS: usize = F::COLUMNS;
    const BYTES: usize = F::BYTES;

    #[inline(always)]
    fn tile<I: Isa, const M: usize>(
        isa: I,
        group: &[u8],
        part: usize,
        rows: &[ActivationRow<'_>; M],
        fetch: bool,
    ) -> [I::Float; M] {
        let blocks = group.len() / F::BYTES * F::SUB_BLOCKS;
        let mut inputs: [&[QuantBlock]; M] = [&[]; M];
        for (inputs, row) in inputs.iter_mut().zip(rows) {
            *inputs = &row.blocks[..blocks];
        }
        let mut sums = [isa.splat(0.0); M];
        for (index, packed) in group.chunks_exact(F::BYTES).enumerate() {
            if fetch {
                isa.prefetch(packed);
            }
            for sub_block in 0..F::SUB_BLOCKS {
                let quads = F::unpack(isa, packed, sub_block, part);
                let (scale, minimum) = F::scales(isa, packed, sub_block, part);
                let block = index * F::SUB_BLOCKS + sub_block;
                each_below!(M, row => {
                    let input = &inputs[row][block];
                    let dot = isa.to_float(F::dot(isa, &quads, input));
                    sums[row] = isa.fma(isa.mul(dot, isa.splat(input.scale)), scale, sums[row]);
                    if F::MINIMUM {
                        sums[row] = isa.fma(minimum, isa.splat(input.scaled_sum), sums[row]);
                    }
                });
            }
        }
        sums
    }
}

struct Plain<F>(PhantomData<F>);

impl<F: PlainFormat> Tile for Plain<F> {
    const COLUMNS: usize = F::COLUMNS;
    const BYTES: usize = F::BYTES;

    #[inline(always)]
    fn tile<I: Isa, const M: usize>(
        isa: I,
        group: &[u8],
        part: usize,
        rows: &[ActivationRow<'_>; M],
        fetch: bool,
    ) -> [I::Float; M] {
        let mut even = [isa.splat(0.0); M];
        let mut odd = [isa.splat(0.0); M];
        // Widths are multiples of 32, so columns come in pairs.
        for (pair, packed) in group.chunks_exact(2 * F::BYTES).enumerate() {
            if fetch {
                isa.prefetch(packed);
            }
            let first = F::column(isa, packed, part);
            let second = F::column(isa, &packed[F::BYTES..], part);
            each_below!(M, row => {
                let inputs = &rows[row].values[2 * pair..2 * pair + 2];
                even[row] = isa.fma(first, isa.splat(inputs[0]), even[row]);
                odd[row] = isa.fma(second, isa.splat(inputs[1]), odd[row]);
            });
        }
        for (even, odd) in even.iter_mut().zip(odd) {
            *even = isa.add(*even, odd);
        }
        even
    }
}
