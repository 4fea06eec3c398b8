//! The program that every thread runs: the layers of a range over the rows of a step.
//!
//! ```text
//! enter      tokens or activations → residual                                          each its columns
//! normalize  residual → activations                                                    each its rows
//! project    activations · q, k, v → qkv                                               each its columns
//! attend     qkv → cache; cache → activations                                          see `attention`
//!            in the model's last layer, only rows that want logits go on from here
//! project    activations · output, added to the residual                               each its columns
//! normalize, gate and up → inner; inner → activations; down, added to the residual     likewise
//! head       normalize, project → logits                                               each its columns
//! ```
//!
//! With few rows every thread prepares all of them for itself, which costs less than a meeting; with many they are
//! divided. Neither, nor the number of threads, changes what is computed for a row.

use parking_lot::{RwLock, RwLockReadGuard};

use super::Hyperparameters;
use super::barrier::Lost;
use super::cache::Cache;
use super::step::Step;
use super::strips::{Strips, read, write};
use super::team::{Member, Program};
use super::weights::{Head, LayerWeights, Weights, needs};
use crate::kernels::{
    ActivationRow, Activations, Kernels, LANES, MatMul, Needs, PackedMatrix, RmsNorm, SiluMultiply, Write,
};

/// Below this number of rows, every thread prepares all rows for itself. By measurement on two threads.
const DIVIDE_FROM: usize = 4;

/// Groups of the gate matrix that are computed before the same of the up matrix, so that both stay in cache.
const GATE_GROUPS: usize = 8;

/// A range of layers, and what passes between the threads that compute it.
pub(super) struct Layers {
    pub(super) hyper: Hyperparameters,
    pub(super) kernels: Kernels,
    pub(super) weights: Weights,
    pub(super) cache: Cache,
    pub(super) step: RwLock<Step>,
    /// What enters and leaves each layer.
    pub(super) residual: Strips,
    /// Queries, keys and values beside each other, each padded to whole groups.
    pub(super) qkv: Strips,
    /// What attention gives, by query head.
    pub(super) attended: Strips,
    /// The inner row of the feed-forward layer.
    inner: Strips,
    pub(super) logits: Strips,
    /// Each thread's rows, ready to be multiplied, where the rows are divided.
    pub(super) prepared: Vec<RwLock<Activations>>,
}

impl Layers {
    pub(super) fn new(
        hyper: Hyperparameters,
        kernels: Kernels,
        weights: Weights,
        cache: Cache,
        threads: usize,
    ) -> Self {
        let qkv_groups = hyper.query_size().div_ceil(LANES) + 2 * hyper.key_size().div_ceil(LANES);
        Self {
            residual: Strips::new(hyper.width / LANES, LANES, threads),
            qkv: Strips::new(qkv_groups, LANES, threads),
            attended: Strips::new(hyper.heads, hyper.head_size, threads),
            inner: Strips::new(hyper.feed_forward / LANES, LANES, threads),
            logits: Strips::new(hyper.vocabulary.div_ceil(LANES), LANES, threads),
            prepared: (0..threads).map(|_| RwLock::default()).collect(),
            step: RwLock::default(),
            hyper,
            kernels,
            weights,
            cache,
        }
    }
}

/// What a thread keeps to itself: buffers that grow to the largest step.
#[derive(Default)]
pub(super) struct Local {
    /// All rows, where they are not divided.
    pub(super) activations: Activations,
    /// One row as it is gathered.
    row: Vec<f32>,
    normalized: Vec<f32>,
    up: Vec<f32>,
    pub(super) attention: super::attention::Buffers,
}

impl Program for Layers {
    type Local = Local;

    fn run(&self, member: Member<'_>, local: &mut Local) -> Result<(), Lost> {
        let step = read(&self.step)?;
        Pass { layers: self, member, step: &step, local }.run()
    }
}

/// One step on one thread.
pub(super) struct Pass<'a> {
    pub(super) layers: &'a Layers,
    pub(super) member: Member<'a>,
    pub(super) step: &'a Step,
    pub(super) local: &'a mut Local,
}

impl Pass<'_> {
    fn run(mut self) -> Result<(), Lost> {
        let layers = self.layers;
        self.enter()?;
        self.find_turns();
        self.member.meet()?;
        let mut rows = self.step.rows.len();
        for (index, weights) in layers.weights.layers.iter().enumerate() {
            let last = index + 1 == layers.weights.layers.len();
            let kept = match &layers.weights.head {
                Some(_) if last => &self.step.logit_rows,
                _ => &self.step.all_rows,
            };
            self.attention_half(index, weights, rows, kept)?;
            rows = kept.len();
            self.feed_forward_half(weights, rows)?;
        }
        match &layers.weights.head {
            Some(head) => self.head(head, rows),
            None => Ok(()),
        }
    }

    /// Whether `rows` rows are divided among the threads.
    pub(super) fn divided(&self, rows: usize) -> bool {
        self.member.threads > 1 && rows >= DIVIDE_FROM
    }

    /// Fills this thread's columns of the residual.
    fn enter(&mut self) -> Result<(), Lost> {
        let layers = self.layers;
        let mut own = layers.residual.own(self.member.thread, self.step.rows.len())?;
        let columns = own.columns();
        for (index, row) in self.step.rows.iter().enumerate() {
            let out = own.row(index);
            match &layers.weights.embedding {
                Some(embedding) => {
                    let token = row.token.0 as usize;
                    embedding.row_part(&layers.weights.memory, token, columns.clone(), out);
                }
                None => {
                    let start = index * layers.hyper.width;
                    out.copy_from_slice(&self.step.hidden[start + columns.start..start + columns.end]);
                }
            }
        }
        Ok(())
    }

    /// Attention of `rows` rows, of which those in `kept` go on, moved together.
    fn attention_half(
        &mut self,
        index: usize,
        weights: &LayerWeights,
        rows: usize,
        kept: &[usize],
    ) -> Result<(), Lost> {
        let layers = self.layers;
        self.prepare(&layers.residual, rows, Some(&weights.attention_norm), needs(&weights.qkv))?;
        self.project(&weights.qkv, rows, &layers.qkv, Write::Store)?;
        self.member.meet()?;
        layers.residual.own(self.member.thread, rows)?.keep(kept);
        self.attend(index, kept, needs([&weights.attention_output]))?;
        let output = std::slice::from_ref(&weights.attention_output);
        self.project(output, kept.len(), &layers.residual, Write::Add)?;
        self.member.meet()
    }

    fn feed_forward_half(&mut self, weights: &LayerWeights, rows: usize) -> Result<(), Lost> {
        let layers = self.layers;
        let norm = Some(weights.feed_forward_norm.as_slice());
        self.prepare(&layers.residual, rows, norm, needs([&weights.gate, &weights.up]))?;
        self.gate_and_up(weights, rows)?;
        self.member.meet()?;
        self.prepare(&layers.inner, rows, None, needs([&weights.down]))?;
        self.project(std::slice::from_ref(&weights.down), rows, &layers.residual, Write::Add)?;
        self.member.meet()
    }

    fn head(&mut self, head: &Head, rows: usize) -> Result<(), Lost> {
        let layers = self.layers;
        self.prepare(&layers.residual, rows, Some(&head.norm), needs([&head.matrix]))?;
        self.project(std::slice::from_ref(&head.matrix), rows, &layers.logits, Write::Store)
    }

    /// Makes the first `rows` rows of `source` ready to be multiplied: this thread's of them, or all.
    pub(super) fn prepare(
        &mut self,
        source: &Strips,
        rows: usize,
        norm: Option<&[f32]>,
        needs: Needs,
    ) -> Result<(), Lost> {
        if !self.divided(rows) {
            let mut activations = std::mem::take(&mut self.local.activations);
            let outcome = self.prepare_into(&mut activations, source, 0..rows, norm, needs);
            self.local.activations = activations;
            return outcome;
        }
        let mut activations = write(&self.layers.prepared[self.member.thread])?;
        let own = (self.member.thread..rows).step_by(self.member.threads);
        self.prepare_into(&mut activations, source, own, norm, needs)?;
        drop(activations);
        self.member.meet()
    }

    fn prepare_into(
        &mut self,
        activations: &mut Activations,
        source: &Strips,
        rows: impl ExactSizeIterator<Item = usize>,
        norm: Option<&[f32]>,
        needs: Needs,
    ) -> Result<(), Lost> {
        let kernels = self.layers.kernels;
        let width = source.width();
        activations.reset(rows.len(), width, needs);
        let Local { row: values, normalized, .. } = &mut *self.local;
        values.resize(width, 0.0);
        normalized.resize(width, 0.0);
        for (index, row) in rows.enumerate() {
            source.gather(row, 0, values)?;
            let Some(weight) = norm else {
                kernels.run(activations.prepare(index, values));
                continue;
            };
            kernels.run(RmsNorm { x: values, weight, epsilon: self.layers.hyper.epsilon, out: normalized });
            kernels.run(activations.prepare(index, normalized));
        }
        Ok(())
    }

    /// Multiplies the prepared rows by matrices that stand under each other: this thread's columns of `target`.
    fn project(
        &self,
        matrices: &[PackedMatrix],
        rows: usize,
        target: &Strips,
        write: Write,
    ) -> Result<(), Lost> {
        let guards = self.divided_rows(rows)?;
        let rows = self.activation_rows(rows, &guards);
        let mut own = target.own(self.member.thread, rows.len())?;
        let columns = own.columns();
        let groups = columns.start / LANES..columns.end / LANES;
        let mut first = 0;
        for matrix in matrices {
            let end = first + matrix.groups();
            let overlap = groups.start.max(first)..groups.end.min(end);
            if !overlap.is_empty() {
                self.layers.kernels.run(MatMul {
                    matrix,
                    weights: &self.layers.weights.memory,
                    groups: overlap.start - first..overlap.end - first,
                    rows: &rows,
                    out: &mut own.values()[(overlap.start - groups.start) * LANES..],
                    stride: columns.len(),
                    write,
                });
            }
            first = end;
        }
        Ok(())
    }

    /// This thread's columns of `silu(gate) · up`.
    fn gate_and_up(&mut self, weights: &LayerWeights, rows: usize) -> Result<(), Lost> {
        let layers = self.layers;
        let mut up = std::mem::take(&mut self.local.up);
        up.resize(rows * GATE_GROUPS * LANES, 0.0);
        let guards = self.divided_rows(rows)?;
        let rows = self.activation_rows(rows, &guards);
        let mut own = layers.inner.own(self.member.thread, rows.len())?;
        let columns = own.columns();
        for start in (columns.start..columns.end).step_by(GATE_GROUPS * LANES) {
            let end = columns.end.min(start + GATE_GROUPS * LANES);
            let multiply = |matrix, out: &mut [f32], stride| {
                let groups = start / LANES..end / LANES;
                let weights = &layers.weights.memory;
                let rows = rows.as_slice();
                layers.kernels.run(MatMul {
                    matrix,
                    weights,
                    groups,
                    rows,
                    out,
                    stride,
                    write: Write::Store,
                });
            };
            multiply(&weights.gate, &mut own.values()[start - columns.start..], columns.len());
            multiply(&weights.up, &mut up, end - start);
            for (row, up) in up.chunks_exact(end - start).enumerate().take(rows.len()) {
                let gate = &mut own.row(row)[start - columns.start..end - columns.start];
                layers.kernels.run(SiluMultiply { gate, up });
            }
        }
        drop(rows);
        drop(guards);
        self.local.up = up;
        Ok(())
    }

    /// The rows that other threads prepared; none where every thread prepared all for itself.
    fn divided_rows(&self, rows: usize) -> Result<Vec<RwLockReadGuard<'_, Activations>>, Lost> {
        if self.divided(rows) { self.layers.prepared.iter().map(read).collect() } else { Ok(Vec::new()) }
    }

    fn activation_rows<'x>(
        &'x self,
        rows: usize,
        divided: &'x [RwLockReadGuard<'_, Activations>],
    ) -> Vec<ActivationRow<'x>> {
        let threads = divided.len();
        let row = |row| match threads {
            0 => self.local.activations.row(row),
            _ => divided[row % threads].row(row / threads),
        };
        (0..rows).map(row).collect()
    }
}
