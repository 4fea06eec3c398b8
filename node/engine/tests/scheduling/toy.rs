//! A model of one layer whose only state is what it wrote into its pages.

use helixflow_engine::compute::{
    Batch, Compute, ComputeError, Input, Limits, Output, PAGE_POSITIONS, PageId, Row, Shape,
};
use helixflow_model::{LayerRange, TokenId};

pub(crate) const VOCABULARY: usize = 40;
pub(crate) const CONTEXT: usize = 512;
/// A sequence that ends with this token has logits that are not numbers.
pub(crate) const POISON: TokenId = TokenId(39);
/// The toy panics when it meets this token.
pub(crate) const BOMB: TokenId = TokenId(38);
/// The toy reports an error when it meets this token.
pub(crate) const FUSE: TokenId = TokenId(37);

/// One position in a page: enough to know the whole sequence up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    position: u32,
    chain: u64,
}

/// SplitMix64's finalizer: every bit of the input moves every bit of the output.
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// Stands for the tokens up to and including `token` at `position`.
fn link(before: u64, token: TokenId, position: u32) -> u64 {
    mix(before ^ mix(u64::from(position) << 32 | u64::from(token.0)))
}

fn logits(chain: u64, last: TokenId) -> impl Iterator<Item = f32> {
    (0..VOCABULARY as u64).map(move |token| {
        if last == POISON {
            return f32::NAN;
        }
        // Those with an effect come from tests alone.
        if token >= u64::from(FUSE.0) {
            return f32::NEG_INFINITY;
        }
        // Quarter steps from -4 to 4: equal logits are frequent.
        (mix(chain ^ token << 17) % 33) as f32 / 4.0 - 4.0
    })
}

/// The logits after `tokens`, without any page.
pub(crate) fn logits_after(tokens: &[TokenId]) -> Vec<f32> {
    let chain = (0..).zip(tokens).fold(0, |chain, (position, &token)| link(chain, token, position));
    tokens.last().map_or_else(Vec::new, |&last| logits(chain, last).collect())
}

/// The toy, and what it has been asked.
pub(crate) struct Toy {
    shape: Shape,
    limits: Limits,
    pages: Vec<[Option<Slot>; PAGE_POSITIONS]>,
}

impl Toy {
    pub(crate) fn new(limits: Limits) -> Self {
        let shape = Shape {
            layers: LayerRange { first: 0, end: 1 },
            model_layers: 1,
            width: 1,
            vocabulary: VOCABULARY,
            context: CONTEXT,
        };
        Self { shape, limits, pages: vec![[None; PAGE_POSITIONS]; limits.pages] }
    }

    pub(crate) fn holding(mut self, layers: LayerRange) -> Self {
        self.shape.layers = layers;
        self
    }

    fn slot(&mut self, table: &[PageId], position: u32) -> &mut Option<Slot> {
        let page = table[position as usize / PAGE_POSITIONS];
        &mut self.pages[page.0 as usize][position as usize % PAGE_POSITIONS]
    }

    /// The chain up to and including `position`, having made sure that each earlier position was written to the
    /// page that the table names.
    fn read(&mut self, table: &[PageId], end: u32) -> u64 {
        let mut chain = 0;
        for position in 0..end {
            let slot = self.slot(table, position).expect("a position that was never written");
            assert_eq!(slot.position, position, "a page holds other positions");
            chain = slot.chain;
        }
        chain
    }

    fn run(&mut self, row: &Row, table: &[PageId]) -> u64 {
        assert_ne!(row.token, BOMB, "the bomb went off");
        let chain = link(self.read(table, row.position), row.token, row.position);
        *self.slot(table, row.position) = Some(Slot { position: row.position, chain });
        chain
    }
}

/// No page that is written in this batch stands in another sequence's table.
fn assert_no_page_is_written_by_two(batch: &Batch<'_>) {
    for row in batch.rows {
        let page = batch.tables[row.table as usize][row.position as usize / PAGE_POSITIONS];
        let sharers = batch.tables.iter().filter(|table| table.contains(&page)).count();
        assert_eq!(sharers, 1, "a page is written while another sequence reads it");
    }
}

impl Compute for Toy {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn forward(&mut self, batch: &Batch<'_>, _: Input<'_>, output: &mut Output) -> Result<(), ComputeError> {
        let logit_rows = batch.rows.iter().filter(|row| row.logits).count();
        assert!(!batch.rows.is_empty(), "an empty batch");
        assert!(batch.rows.len() <= self.limits.rows && logit_rows <= self.limits.logit_rows);
        assert_no_page_is_written_by_two(batch);
        output.logits.clear();
        for row in batch.rows {
            if row.token == FUSE {
                return Err(ComputeError::Lost);
            }
            let chain = self.run(row, batch.tables[row.table as usize]);
            if row.logits {
                output.logits.extend(logits(chain, row.token));
            }
        }
        Ok(())
    }
}
