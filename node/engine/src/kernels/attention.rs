//! Attention of one row over the positions of its sequence, for the query heads that share one key and value head.
//!
//! The cache of a key and value head is made of pages of [`PAGE_POSITIONS`] positions in 16-bit floats:
//!
//! ```text
//! page     keys: block 0 (positions 0..32) | block 1 (32..64) | values: position 0 | position 1 | … position 63
//! block    dimension 0 of 32 positions | dimension 1 of 32 positions | …
//! values   all dimensions of one position, padded to a multiple of 32
//! ```
//!
//! Scores come out beside each other without horizontal sums. The order of operations depends on the position alone:
//! a score is a chain of `fma` over the dimensions; the largest score is exact; exponentials are summed into partial
//! sum `position % 16`, added in a fixed tree; an output is a chain of `fma` over the positions, from the first to
//! the last, then multiplied by the inverse of the sum. Positions outside the window weigh exactly zero, and are
//! skipped where a whole block of them begins the sequence.

use std::array::from_fn;
use std::ops::Range;

use super::exp::exp;
use super::isa::{Isa, tree_sum};
use super::{Kernel, LANES};
use crate::compute::{PAGE_POSITIONS, PageId};

/// Positions of a block of keys.
const KEY_BLOCK: usize = 32;
/// Dimensions of a value are padded to a multiple of this: two registers of sixteen lanes.
const VALUE_STEP: usize = 32;
/// Most query heads that share the loads of keys and values, by the number of registers.
const HEADS_TOGETHER: usize = 4;

/// The geometry of one key and value head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadShape {
    /// Dimensions of a head.
    pub(crate) size: usize,
}

impl HeadShape {
    fn padded(self) -> usize {
        self.size.next_multiple_of(VALUE_STEP)
    }

    /// 16-bit floats in one page of one key and value head.
    pub(crate) fn page_len(self) -> usize {
        PAGE_POSITIONS * (self.size + self.padded())
    }

    /// Scratch that [`Attend`] needs for sequences of `positions`, in floats.
    pub(crate) fn scratch_len(positions: usize) -> usize {
        HEADS_TOGETHER * positions.next_multiple_of(KEY_BLOCK)
    }

    fn key_block(self, page: &[u16], block: usize) -> &[u16] {
        let length = self.size * KEY_BLOCK;
        &page[block * length..(block + 1) * length]
    }

    fn values(self, page: &[u16]) -> &[u16] {
        &page[PAGE_POSITIONS * self.size..]
    }
}

/// Stores the key and value of one position in its page.
pub(crate) struct StoreHead<'a> {
    pub(crate) shape: HeadShape,
    pub(crate) page: &'a mut [u16],
    /// Position within the page.
    pub(crate) slot: usize,
    pub(crate) key: &'a [f32],
    pub(crate) value: &'a [f32],
}

impl Kernel for StoreHead<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let (keys, values) = self.page.split_at_mut(PAGE_POSITIONS * self.shape.size);
        let block = self.slot / KEY_BLOCK * self.shape.size * KEY_BLOCK;
        let column = &mut keys[block + self.slot % KEY_BLOCK..];
        let row = &mut values[self.slot * self.shape.padded()..];
        each_half(isa, self.key, |dimension, half| column[dimension * KEY_BLOCK] = half);
        each_half(isa, self.value, |dimension, half| row[dimension] = half);
    }
}

/// Rounds floats to 16 bits, in registers padded with zeros.
#[inline(always)]
fn each_half<I: Isa>(isa: I, values: &[f32], mut put: impl FnMut(usize, u16)) {
    for (step, values) in values.chunks(I::LANES).enumerate() {
        let mut padded = [0.0; LANES];
        padded[..values.len()].copy_from_slice(values);
        let mut halves = [0; LANES];
        isa.store_halves(isa.load(&padded), &mut halves);
        for (lane, &half) in halves[..values.len()].iter().enumerate() {
            put(step * I::LANES + lane, half);
        }
    }
}

/// One row's attention over one key and value head.
pub(crate) struct Attend<'a> {
    pub(crate) shape: HeadShape,
    /// Every page of this key and value head.
    pub(crate) cache: &'a [u16],
    /// The pages of the sequence.
    pub(crate) table: &'a [PageId],
    /// The positions attended to: up to the row's own, from 0 or from where its window begins.
    pub(crate) positions: Range<usize>,
    /// The query heads, already turned and scaled, one after the other.
    pub(crate) queries: &'a [f32],
    /// [`HeadShape::scratch_len`] floats.
    pub(crate) scratch: &'a mut [f32],
    /// As long as `queries`.
    pub(crate) out: &'a mut [f32],
}

impl Kernel for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        let heads = self.queries.len() / self.shape.size;
        let mut head = 0;
        while heads - head >= HEADS_TOGETHER {
            self.heads::<I, HEADS_TOGETHER>(isa, head);
            head += HEADS_TOGETHER;
        }
        match heads - head {
            3 => self.heads::<I, 3>(isa, head),
            2 => self.heads::<I, 2>(isa, head),
            1 => self.heads::<I, 1>(isa, head),
            _ => {}
        }
    }
}

impl Attend<'_> {
    fn page(&self, position: usize) -> &[u16] {
        let length = self.shape.page_len();
        let page = self.table[position / PAGE_POSITIONS].0 as usize;
        &self.cache[page * length..(page + 1) * length]
    }

    /// `H` query heads from `first` on.
    #[inline(always)]
    fn heads<I: Isa, const H: usize>(&mut self, isa: I, first: usize) {
        let size = self.shape.size;
        let mut scratch = std::mem::take(&mut self.scratch);
        let row = scratch.len() / HEADS_TOGETHER;
        let blocks = self.positions.start / KEY_BLOCK..self.positions.end.div_ceil(KEY_BLOCK);
        for block in blocks.clone() {
            self.scores::<I, H>(isa, block, first, scratch, row);
        }
        let start = blocks.start * KEY_BLOCK;
        let mut inverses = [0.0; H];
        for (head, inverse) in inverses.iter_mut().enumerate() {
            let scores = &mut scratch[head * row + start..head * row + blocks.end * KEY_BLOCK];
            scores[..self.positions.start - start].fill(f32::NEG_INFINITY);
            scores[self.positions.end - start..].fill(f32::NEG_INFINITY);
            *inverse = 1.0 / softmax_weights(isa, scores);
        }
        for dimension in (0..size).step_by(2 * I::LANES) {
            let sums = self.weighted_values::<I, H>(isa, dimension, scratch, row);
            for head in 0..H {
                let out = &mut self.out[(first + head) * size..(first + head + 1) * size];
                store_scaled(isa, sums[head], inverses[head], &mut out[dimension..]);
            }
        }
        std::mem::swap(&mut self.scratch, &mut scratch);
    }

    /// Scores of the 32 positions of a block of keys, for `H` heads, into their rows of the scratch.
    #[inline(always)]
    fn scores<I: Isa, const H: usize>(
        &self,
        isa: I,
        block: usize,
        first: usize,
        scratch: &mut [f32],
        row: usize,
    ) {
        let size = self.shape.size;
        let page = self.page(block * KEY_BLOCK);
        let keys = self.shape.key_block(page, block % (PAGE_POSITIONS / KEY_BLOCK));
        let queries: [&[f32]; H] =
            from_fn(|head| &self.queries[(first + head) * size..(first + head + 1) * size]);
        for step in (0..KEY_BLOCK).step_by(2 * I::LANES) {
            let mut sums = [[isa.splat(0.0); 2]; H];
            for (dimension, keys) in keys.as_chunks::<KEY_BLOCK>().0.iter().enumerate() {
                let near = isa.load_halves(&keys[step..step + I::LANES]);
                let far = isa.load_halves(&keys[step + I::LANES..step + 2 * I::LANES]);
                for (sum, query) in sums.iter_mut().zip(queries) {
                    let query = isa.splat(query[dimension]);
                    *sum = [isa.fma(query, near, sum[0]), isa.fma(query, far, sum[1])];
                }
            }
            for (head, sum) in sums.into_iter().enumerate() {
                let out = &mut scratch[head * row + block * KEY_BLOCK + step..];
                isa.store(sum[0], &mut out[..I::LANES]);
                isa.store(sum[1], &mut out[I::LANES..2 * I::LANES]);
            }
        }
    }

    /// Weighted sums of two registers of dimensions from `dimension` on, over all positions in order.
    #[inline(always)]
    fn weighted_values<I: Isa, const H: usize>(
        &self,
        isa: I,
        dimension: usize,
        weights: &[f32],
        row: usize,
    ) -> [[I::Float; 2]; H] {
        let padded = self.shape.padded();
        let mut sums = [[isa.splat(0.0); 2]; H];
        let mut position = self.positions.start;
        while position < self.positions.end {
            let slot = position % PAGE_POSITIONS;
            let count = (PAGE_POSITIONS - slot).min(self.positions.end - position);
            let values = &self.shape.values(self.page(position))[slot * padded..(slot + count) * padded];
            let weights: [&[f32]; H] = from_fn(|head| &weights[head * row + position..][..count]);
            for (index, values) in values.chunks_exact(padded).enumerate() {
                let values = &values[dimension..dimension + 2 * I::LANES];
                let near = isa.load_halves(values);
                let far = isa.load_halves(&values[I::LANES..]);
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    let weight = isa.splat(weights[index]);
                    *sum = [isa.fma(weight, near, sum[0]), isa.fma(weight, far, sum[1])];
                }
            }
            position += count;
        }
        sums
    }
}

/// Replaces scores by `exp(score − largest)` and gives their sum. The length is a multiple of [`KEY_BLOCK`], and the
/// first score stands at such a multiple of positions.
#[inline(always)]
fn softmax_weights<I: Isa>(isa: I, scores: &mut [f32]) -> f32 {
    let mut largest = isa.splat(f32::NEG_INFINITY);
    for lanes in scores.chunks_exact(I::LANES) {
        largest = isa.max(isa.load(lanes), largest);
    }
    let mut lanes = [f32::NEG_INFINITY; LANES];
    isa.store(largest, &mut lanes);
    let largest = isa.splat(lanes.into_iter().fold(f32::NEG_INFINITY, f32::max));
    let mut sums = [isa.splat(0.0); 2];
    for block in scores.as_chunks_mut::<LANES>().0 {
        for (part, lanes) in block.chunks_exact_mut(I::LANES).enumerate() {
            let weight = exp(isa, isa.sub(isa.load(lanes), largest));
            sums[part] = isa.add(sums[part], weight);
            isa.store(weight, lanes);
        }
    }
    for (part, out) in lanes.chunks_exact_mut(I::LANES).enumerate() {
        isa.store(sums[part], out);
    }
    tree_sum(lanes)
}

/// Stores as many of two registers, multiplied by `scale`, as `out` has room for.
#[inline(always)]
fn store_scaled<I: Isa>(isa: I, values: [I::Float; 2], scale: f32, out: &mut [f32]) {
    for (part, value) in values.into_iter().enumerate() {
        let scaled = isa.mul(value, isa.splat(scale));
        let Some(out) = out.get_mut(part * I::LANES..).filter(|rest| !rest.is_empty()) else { return };
        if out.len() >= I::LANES {
            isa.store(scaled, out);
        } else {
            let mut lanes = [0.0; LANES];
            isa.store(scaled, &mut lanes);
            let left = out.len();
            out.copy_from_slice(&lanes[..left]);
        }
    }
}
