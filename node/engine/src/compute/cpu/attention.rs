//! The attention of a layer: keys and values go into the cache, and rows look back over their sequences.
//!
//! Each thread stores for its key and value heads, and all meet. Then, with few rows, each attends for its query heads;
//! with many, for its rows over all heads.

use std::ops::Range;

use super::barrier::Lost;
use super::layers::Pass;
use super::step::Step;
use super::strips::write;
use crate::kernels::{Attend, HeadShape, LANES, Needs, Rotate};

/// What a thread needs for attention; grows to the largest step.
#[derive(Default)]
pub(super) struct Buffers {
    /// Cosines and sines, row after row.
    turns: Vec<[f32; 2]>,
    /// Query heads that share one key and value head.
    queries: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    scratch: Vec<f32>,
    /// A whole row, where this thread attends for all heads of it.
    row: Vec<f32>,
}

impl Pass<'_> {
    /// Computes the turns of every row, once for all layers, and makes room.
    pub(super) fn find_turns(&mut self) {
        let hyper = &self.layers.hyper;
        let buffers = &mut self.local.attention;
        let pairs = hyper.rotation.pairs();
        buffers.turns.resize(self.step.rows.len() * pairs, [0.0; 2]);
        for (row, turns) in self.step.rows.iter().zip(buffers.turns.chunks_exact_mut(pairs.max(1))) {
            hyper.rotation.turns(row.position, turns);
        }
        buffers.key.resize(hyper.head_size, 0.0);
        buffers.value.resize(hyper.head_size, 0.0);
        let positions = self.step.rows.iter().map(|row| row.position as usize + 1).max().unwrap_or(0);
        let needed = HeadShape::scratch_len(positions);
        if buffers.scratch.len() < needed {
            buffers.scratch.resize(needed, 0.0);
        }
    }

    /// Stores every row, attends for the rows that are kept, and leaves those ready for the output projection.
    pub(super) fn attend(&mut self, layer: usize, kept: &[usize], needs: Needs) -> Result<(), Lost> {
        for head in self.member.share(self.layers.hyper.kv_heads) {
            self.store(layer, head)?;
        }
        self.member.meet()?;
        if self.divided(kept.len()) {
            return self.attend_own_rows(layer, kept, needs);
        }
        let layers = self.layers;
        let heads = self.member.share(layers.hyper.heads);
        let mut own = layers.attended.own(self.member.thread, kept.len())?;
        for (index, &row) in kept.iter().enumerate() {
            self.attend_row(layer, heads.clone(), row, own.row(index))?;
        }
        drop(own);
        self.member.meet()?;
        self.prepare(&layers.attended, kept.len(), None, needs)
    }

    /// All heads of this thread's rows.
    fn attend_own_rows(&mut self, layer: usize, kept: &[usize], needs: Needs) -> Result<(), Lost> {
        let layers = self.layers;
        let width = layers.hyper.query_size();
        let own = || kept.iter().skip(self.member.thread).step_by(self.member.threads);
        let mut activations = write(&layers.prepared[self.member.thread])?;
        activations.reset(own().len(), width, needs);
        let mut attended = std::mem::take(&mut self.local.attention.row);
        attended.resize(width, 0.0);
        for (index, &row) in own().enumerate() {
            self.attend_row(layer, 0..layers.hyper.heads, row, &mut attended)?;
            layers.kernels.run(activations.prepare(index, &attended));
        }
        drop(activations);
        self.local.attention.row = attended;
        self.member.meet()
    }

    /// Some query heads of one row, by the key and value heads that they share.
    fn attend_row(
        &mut self,
        layer: usize,
        heads: Range<usize>,
        row: usize,
        out: &mut [f32],
    ) -> Result<(), Lost> {
        let hyper = &self.layers.hyper;
        let shared = hyper.heads / hyper.kv_heads;
        let mut rest = out;
        let mut first = heads.start;
        while first < heads.end {
            let end = heads.end.min((first / shared + 1) * shared);
            let (out, after) = rest.split_at_mut((end - first) * hyper.head_size);
            self.attend_heads(layer, first..end, row, out)?;
            (rest, first) = (after, end);
        }
        Ok(())
    }

    /// Turns the keys of every row for one head and stores them with their values.
    fn store(&mut self, layer: usize, head: usize) -> Result<(), Lost> {
        let layers = self.layers;
        let hyper = &layers.hyper;
        let keys = hyper.query_size().next_multiple_of(LANES);
        let values = keys + hyper.key_size().next_multiple_of(LANES);
        let mut cache = layers.cache.write(layer, head)?;
        let Buffers { turns, key, value, .. } = &mut self.local.attention;
        for (index, row) in self.step.rows.iter().enumerate() {
            layers.qkv.gather(index, keys + head * hyper.head_size, key)?;
            layers.qkv.gather(index, values + head * hyper.head_size, value)?;
            let turns = row_turns(turns, index, hyper.rotation.pairs());
            layers.kernels.run(Rotate { head: key, turns, scale: 1.0 });
            let table = self.step.table(row);
            layers.kernels.run(cache.store(hyper.head_shape(), table, row.position as usize, key, value));
        }
        Ok(())
    }

    /// Query heads that share one key and value head, for one row.
    fn attend_heads(
        &mut self,
        layer: usize,
        heads: Range<usize>,
        index: usize,
        out: &mut [f32],
    ) -> Result<(), Lost> {
        let layers = self.layers;
        let hyper = &layers.hyper;
        let row = &self.step.rows[index];
        let Buffers { turns, queries, scratch, .. } = &mut self.local.attention;
        queries.resize(out.len(), 0.0);
        layers.qkv.gather(index, heads.start * hyper.head_size, queries)?;
        let turns = row_turns(turns, index, hyper.rotation.pairs());
        let scale = 1.0 / (hyper.head_size as f32).sqrt();
        for head in queries.chunks_exact_mut(hyper.head_size) {
            layers.kernels.run(Rotate { head, turns, scale });
        }
        let cache = layers.cache.read(layer, heads.start * hyper.kv_heads / hyper.heads)?;
        layers.kernels.run(Attend {
            shape: hyper.head_shape(),
            cache: &cache,
            table: self.step.table(row),
            positions: Step::positions(row, hyper),
            queries,
            scratch,
            out,
        });
        Ok(())
    }
}

fn row_turns(turns: &[[f32; 2]], row: usize, pairs: usize) -> &[[f32; 2]] {
    &turns[row * pairs..(row + 1) * pairs]
}
