//! One step's rows, checked and copied so that every thread can read them.

use std::ops::Range;

use super::Hyperparameters;
use crate::compute::{Batch, ComputeError, Input, Limits, PAGE_POSITIONS, PageId, Row, Shape};

/// The rows of a step, once they are known to be sound.
#[derive(Default)]
pub(super) struct Step {
    pub(super) rows: Vec<Row>,
    /// Activations that enter a later range, `rows × width`; empty when the range begins with tokens.
    pub(super) hidden: Vec<f32>,
    /// Every row, by its index.
    pub(super) all_rows: Vec<usize>,
    /// The rows that want logits.
    pub(super) logit_rows: Vec<usize>,
    pages: Vec<PageId>,
    /// Where the pages of each sequence stand.
    tables: Vec<Range<usize>>,
}

impl Step {
    /// Takes over a batch that [`check`] has passed.
    pub(super) fn fill(&mut self, batch: &Batch<'_>, input: Input<'_>) {
        self.rows.clear();
        self.rows.extend_from_slice(batch.rows);
        self.hidden.clear();
        if let Input::Hidden(hidden) = input {
            self.hidden.extend_from_slice(hidden);
        }
        self.all_rows.clear();
        self.all_rows.extend(0..batch.rows.len());
        self.logit_rows.clear();
        self.logit_rows.extend(logit_rows(batch));
        self.pages.clear();
        self.tables.clear();
        for table in batch.tables {
            let start = self.pages.len();
            self.pages.extend_from_slice(table);
            self.tables.push(start..self.pages.len());
        }
    }

    /// The pages of a row's sequence.
    pub(super) fn table(&self, row: &Row) -> &[PageId] {
        &self.pages[self.tables[row.table as usize].clone()]
    }

    /// The positions that a row attends to.
    pub(super) fn positions(row: &Row, hyper: &Hyperparameters) -> Range<usize> {
        let end = row.position as usize + 1;
        end.saturating_sub(hyper.window.unwrap_or(end))..end
    }
}

fn logit_rows<'a>(batch: &'a Batch<'_>) -> impl Iterator<Item = usize> + 'a {
    batch.rows.iter().enumerate().filter(|(_, row)| row.logits).map(|(index, _)| index)
}

/// Refuses a batch that does not fit the model, the limits or the range.
pub(super) fn check(
    batch: &Batch<'_>,
    input: Input<'_>,
    shape: &Shape,
    limits: Limits,
) -> Result<(), ComputeError> {
    let (rows, logit_rows) = (batch.rows.len(), logit_rows(batch).count());
    if rows > limits.rows || logit_rows > limits.logit_rows {
        return Err(ComputeError::TooLarge { rows, logit_rows, limits });
    }
    let invalid =
        |reason| Err(ComputeError::InvalidInput { first: shape.layers.first, end: shape.layers.end, reason });
    match (input, shape.layers.first) {
        (Input::Tokens, 0) => {}
        (Input::Tokens, _) => return invalid("this range takes activations, not tokens"),
        (Input::Hidden(_), 0) => return invalid("the first range takes tokens, not activations"),
        (Input::Hidden(hidden), _) if hidden.len() != rows * shape.width => {
            return invalid("the activations are not rows × width floats");
        }
        (Input::Hidden(_), _) => {}
    }
    for (row, content) in batch.rows.iter().enumerate() {
        if let Err(reason) = check_row(content, batch, shape, limits) {
            return Err(ComputeError::InvalidRow { row, reason });
        }
    }
    Ok(())
}

fn check_row(row: &Row, batch: &Batch<'_>, shape: &Shape, limits: Limits) -> Result<(), &'static str> {
    let position = row.position as usize;
    if shape.layers.first == 0 && row.token.0 as usize >= shape.vocabulary {
        return Err("its token is not in the vocabulary");
    }
    if position >= shape.context {
        return Err("its position is beyond the context");
    }
    let table = batch.tables.get(row.table as usize).ok_or("its page table does not exist")?;
    let pages = table.get(..=position / PAGE_POSITIONS).ok_or("its page table is too short")?;
    if pages.iter().any(|page| page.0 as usize >= limits.pages) {
        return Err("one of its pages does not exist");
    }
    Ok(())
}
