//! The seam between "which rows run now" and "how layers are computed".
//!
//! A scheduler builds a [`Batch`] of rows; a [`Compute`] runs its range of layers over them. A row's result depends on
//! its own sequence alone: not on the batch, the chunk, the page numbers, the thread count or the split of layers.

pub mod cpu;

use helixflow_model::{LayerRange, TokenId};

/// Positions held by one KV page. A multiple of the block in which attention reduces.
pub const PAGE_POSITIONS: usize = 64;

/// A page of the KV cache: the keys and values of [`PAGE_POSITIONS`] positions, in every layer of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(pub u32);

/// One token at one position of one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The token that stands at `position`.
    pub token: TokenId,
    /// Its position in the sequence, from 0. Within a batch, rows of a sequence stand in ascending order.
    pub position: u32,
    /// Index of the sequence's page table in [`Batch::tables`].
    pub table: u32,
    /// Whether the next token's logits are wanted.
    pub logits: bool,
}

/// The rows of one step.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// At most [`Limits::rows`].
    pub rows: &'a [Row],
    /// For each sequence, its pages in order: position `p` lives in page `p / PAGE_POSITIONS`.
    pub tables: &'a [&'a [PageId]],
}

/// What enters the range of layers.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// The range begins at layer 0: tokens are looked up in the embedding.
    Tokens,
    /// Activations of an earlier range: `rows × width`, in the order of the rows.
    Hidden(&'a [f32]),
}

/// What leaves the range of layers; buffers are reused from step to step.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// `rows × width`, when the range does not hold the last layer; else empty.
    pub hidden: Vec<f32>,
    /// `vocabulary` logits for each row that wants them, in the order of the rows, when the range holds the last layer.
    pub logits: Vec<f32>,
}

/// The dimensions that callers need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The layers computed here.
    pub layers: LayerRange,
    /// Layers of the whole model.
    pub model_layers: u32,
    /// Length of an activation row.
    pub width: usize,
    /// Number of tokens in the vocabulary.
    pub vocabulary: usize,
    /// Longest sequence, in tokens.
    pub context: usize,
}

/// How much one step may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most rows in a batch.
    pub rows: usize,
    /// Most rows of a batch that want logits.
    pub logit_rows: usize,
    /// Pages of the KV cache.
    pub pages: usize,
}

/// A batch that cannot be computed. The caller built it wrong; the KV cache is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// More rows, or more rows with logits, than [`Limits`] allows.
    #[error("a batch of {rows} rows, {logit_rows} with logits, is over the limits {limits:?}")]
    TooLarge {
        /// Rows in the batch.
        rows: usize,
        /// Rows that want logits.
        logit_rows: usize,
        /// What is allowed.
        limits: Limits,
    },
    /// A token outside the vocabulary, a position outside the context, or a table or page that does not exist.
    #[error("row {row} of the batch is invalid: {reason}")]
    InvalidRow {
        /// Index of the row.
        row: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The input does not fit the range: tokens for a later range, or activations of another length.
    #[error("the input does not fit layers {first}..{end}: {reason}")]
    InvalidInput {
        /// First layer of the range.
        first: u32,
        /// One past its last layer.
        end: u32,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A thread that computes has ended: this engine is lost and must be loaded again.
    #[error("a compute thread has ended; load the model again")]
    Lost,
}

/// Computes a range of layers.
pub trait Compute: Send {
    /// The model's dimensions and this range.
    fn shape(&self) -> &Shape;

    /// How much one step may hold.
    fn limits(&self) -> Limits;

    /// Runs the rows, writes their keys and values into their pages, and fills `output`.
    ///
    /// A row attends to every earlier position of its sequence: those of earlier steps, found in its pages, and those
    /// of this batch.
    fn forward(
        &mut self,
        batch: &Batch<'_>,
        input: Input<'_>,
        output: &mut Output,
    ) -> Result<(), ComputeError>;
}
