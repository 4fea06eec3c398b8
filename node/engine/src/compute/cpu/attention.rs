//! The attention of a layer: keys and values go into the cache, and each row looks back over its sequence.
//!
//! Undivided rows: a thread does both for its own key and value heads, so nothing need be awaited in between. Divided
//! rows: each stores for its heads, all meet, then each attends for its rows over all heads.

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
    /// The query heads of one key and value head.
    queries: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    scratch: Vec<f32>,
    /// Whole rows that this thread attends for, where rows are divided.
    rows: Vec<f32>,
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
        buffers.queries.resize(hyper.query_size() / hyper.kv_heads, 0.0);
        buffers.key.resize(hyper.head_size, 0.0);
        buffers.value.resize(hyper.head_size, 0.0);
        let positions = self.step.rows.iter().map(|row| row.position as usize + 1).max().unwrap_or(0);
        let needed = HeadShape::scratch_len(positions);
        if buffers.scratch.len() < needed {
            buffers.scratch.resize(needed, 0.0);
        }
    }

    /// Stores, attends, and leaves the rows ready for the output projection.
    pub(super) fn attend(&mut self, layer: usize, needs: Needs) -> Result<(), Lost> {
        let layers = self.layers;
        let rows = self.step.all_rows.len();
        let own_heads = self.member.share(layers.hyper.kv_heads);
        for head in own_heads.clone() {
            self.store(layer, head)?;
        }
        if self.divided(rows) {
            self.member.meet()?;
            return self.attend_own_rows(layer, needs);
        }
        let group = layers.hyper.query_size() / layers.hyper.kv_heads;
        let mut own = layers.attended.own(self.member.thread, rows)?;
        for head in own_heads.clone() {
            let start = (head - own_heads.start) * group;
            for row in 0..rows {
                self.attend_head(layer, head, row, &mut own.row(row)[start..start + group])?;
            }
        }
        drop(own);
        self.member.meet()?;
        self.prepare(&layers.attended, &self.step.all_rows, None, needs)
    }

    /// All heads of this thread's rows.
    fn attend_own_rows(&mut self, layer: usize, needs: Needs) -> Result<(), Lost> {
        let layers = self.layers;
        let width = layers.hyper.query_size();
        let group = width / layers.hyper.kv_heads;
        let own = || (self.member.thread..self.step.rows.len()).step_by(self.member.threads);
        let own: Vec<usize> = own().collect();
        let mut rows = std::mem::take(&mut self.local.attention.rows);
        rows.resize(own.len() * width, 0.0);
        for head in 0..layers.hyper.kv_heads {
            for (&row, out) in own.iter().zip(rows.chunks_exact_mut(width)) {
                self.attend_head(layer, head, row, &mut out[head * group..(head + 1) * group])?;
            }
        }
        let mut activations = write(&layers.prepared[self.member.thread])?;
        activations.reset(own.len(), width, needs);
        for (index, row) in rows.chunks_exact(width).enumerate() {
            layers.kernels.run(activations.prepare(index, row));
        }
        drop(activations);
        self.local.attention.rows = rows;
        self.member.meet()
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

    /// The query heads of one key and value head, for one row.
    fn attend_head(&mut self, layer: usize, head: usize, index: usize, out: &mut [f32]) -> Result<(), Lost> {
        let layers = self.layers;
        let hyper = &layers.hyper;
        let row = &self.step.rows[index];
        let Buffers { turns, queries, scratch, .. } = &mut self.local.attention;
        layers.qkv.gather(index, head * queries.len(), queries)?;
        let turns = row_turns(turns, index, hyper.rotation.pairs());
        let scale = 1.0 / (hyper.head_size as f32).sqrt();
        for head in queries.chunks_exact_mut(hyper.head_size) {
            layers.kernels.run(Rotate { head, turns, scale });
        }
        let cache = layers.cache.read(layer, head)?;
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
