//! One choice of one request, and its place in the order.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use helixflow_model::TokenId;

use super::request::RequestNumber;
use crate::compute::{PAGE_POSITIONS, PageId};
use crate::kv::{Pool, Table};

/// The order in which sequences are served: priority, arrival, choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) priority: Reverse<u8>,
    pub(super) request: RequestNumber,
    pub(super) choice: u32,
}

impl Place {
    /// The choice that computes the prompt for all of its request.
    pub(super) fn leader(self) -> Self {
        Self { choice: 0, ..self }
    }
}

/// Prompt and answer of one choice; kept apart, though they stand in one row.
#[derive(Debug)]
pub(super) struct History {
    tokens: Vec<TokenId>,
    prompt: usize,
    /// Distinct tokens, kept only under a repetition penalty.
    seen: Option<BTreeSet<TokenId>>,
}

impl History {
    pub(super) fn new(prompt: &[TokenId], generated: &[TokenId], keep_seen: bool) -> Self {
        let tokens = [prompt, generated].concat();
        let seen = keep_seen.then(|| tokens.iter().copied().collect());
        Self { tokens, prompt: prompt.len(), seen }
    }

    pub(super) fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    pub(super) fn prompt(&self) -> usize {
        self.prompt
    }

    /// Number of generated tokens.
    pub(super) fn generated(&self) -> usize {
        self.tokens.len() - self.prompt
    }

    pub(super) fn seen(&self) -> Option<&BTreeSet<TokenId>> {
        self.seen.as_ref()
    }

    pub(super) fn push(&mut self, token: TokenId) {
        self.tokens.push(token);
        if let Some(seen) = &mut self.seen {
            seen.insert(token);
        }
    }

    /// Positions of the prompt that other choices can take over: its full pages, short of its last token.
    pub(super) fn shareable(&self) -> usize {
        self.prompt.saturating_sub(1) / PAGE_POSITIONS * PAGE_POSITIONS
    }
}

/// A sequence in the batch.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) history: History,
    pub(super) table: Table,
    /// Positions whose keys and values are in the pages.
    pub(super) computed: usize,
}

impl Running {
    /// Begins after the pages that are already known.
    pub(super) fn new(history: History, table: Table) -> Self {
        let computed = table.sealed() * PAGE_POSITIONS;
        Self { history, table, computed }
    }

    /// Rows yet to compute before the next token can be chosen.
    pub(super) fn pending(&self) -> usize {
        self.history.tokens().len() - self.computed
    }

    pub(super) fn pages(&self) -> &[PageId] {
        self.table.pages()
    }

    /// Notes that the next rows are computed, and makes pages findable that are full now.
    pub(super) fn advance(&mut self, rows: usize, pool: &mut Pool) {
        self.computed += rows;
        let full = self.history.tokens()[..self.computed].chunks_exact(PAGE_POSITIONS);
        for page in full.skip(self.table.sealed()) {
            pool.seal(&mut self.table, page);
        }
    }
}
