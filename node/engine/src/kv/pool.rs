//! The bounded pool of pages: reservation, reference counts, eviction of the longest unused.
//!
//! A page is in one of three places: *blank* (holds nothing), *held* by one or more tables, or *idle* (held by none,
//! yet still findable by its tokens). Blank pages are given out first, then the longest idle.

use std::collections::BTreeMap;

use helixflow_model::TokenId;

use super::prefix::{CacheSalt, Entry, Key, Parent, PrefixIndex};
use crate::compute::{PAGE_POSITIONS, PageId};

#[derive(Debug, Default)]
struct Page {
    references: u32,
    /// Set while the page can be found by its tokens.
    key: Option<Key>,
    /// The tick at which its last holder let go: its place among the idle pages.
    idle_since: u64,
}

/// The pages of one sequence, and the right to more. Give it back with [`Pool::release`].
#[derive(Debug)]
#[must_use = "pages leak unless the table is released"]
pub struct Table {
    pages: Vec<PageId>,
    /// Pages promised, not yet taken.
    reserved: usize,
    /// How many of `pages`, from the front, can be found by their tokens.
    sealed: usize,
    /// The node of the last sealed page.
    tail: Parent,
}

impl Table {
    /// The pages in order: position `p` lives in page `p / PAGE_POSITIONS`.
    pub fn pages(&self) -> &[PageId] {
        &self.pages
    }

    /// How many of the pages, from the front, are full and findable.
    pub fn sealed(&self) -> usize {
        self.sealed
    }
}

/// A fixed number of pages, shared by reference.
#[derive(Debug)]
pub struct Pool {
    pages: Vec<Page>,
    blank: Vec<PageId>,
    /// Unreferenced pages that can still be found, the longest unused first.
    idle: BTreeMap<u64, PageId>,
    prefixes: PrefixIndex,
    reserved: usize,
    tick: u64,
}

impl Pool {
    /// A pool of `pages` blank pages.
    pub fn new(pages: usize) -> Self {
        let ids = 0..u32::try_from(pages).unwrap_or(u32::MAX);
        Self {
            pages: ids.clone().map(|_| Page::default()).collect(),
            blank: ids.rev().map(PageId).collect(),
            idle: BTreeMap::new(),
            prefixes: PrefixIndex::default(),
            reserved: 0,
            tick: 0,
        }
    }

    /// Pages in all.
    pub fn total(&self) -> usize {
        self.pages.len()
    }

    /// Pages that a new sequence could have: neither held nor promised.
    pub fn available(&self) -> usize {
        (self.blank.len() + self.idle.len()).saturating_sub(self.reserved)
    }

    /// Opens a table for a sequence that begins with `tokens` and will write at most `positions` positions.
    ///
    /// The table starts with the pages already known for the longest prefix of `tokens`, short of the last token,
    /// whose logits are wanted. The rest is reserved. None when that is more than is available.
    pub fn open(&mut self, salt: CacheSalt, tokens: &[TokenId], positions: usize) -> Option<Table> {
        let known = self.known_prefix(salt, tokens);
        let revived = known.iter().filter(|entry| self.references(entry.page) == 0).count();
        let fresh = positions.div_ceil(PAGE_POSITIONS).saturating_sub(known.len());
        if fresh + revived > self.available() {
            return None;
        }
        for entry in &known {
            self.hold(entry.page);
        }
        self.reserved += fresh;
        Some(Table {
            reserved: fresh,
            sealed: known.len(),
            tail: known.last().map_or(Parent::Root(salt), |entry| Parent::Node(entry.node)),
            pages: known.into_iter().map(|entry| entry.page).collect(),
        })
    }

    fn known_prefix(&self, salt: CacheSalt, tokens: &[TokenId]) -> Vec<Entry> {
        let reusable = tokens.len().saturating_sub(1) / PAGE_POSITIONS;
        let mut parent = Parent::Root(salt);
        let mut known = Vec::new();
        for page in tokens.chunks_exact(PAGE_POSITIONS).take(reusable) {
            let Some(entry) = self.prefixes.child(parent, page) else { break };
            parent = Parent::Node(entry.node);
            known.push(entry);
        }
        known
    }

    /// Takes reserved pages until the table covers `positions`. False when it has no right to that many: the caller
    /// asked for fewer when it opened the table.
    pub fn cover(&mut self, table: &mut Table, positions: usize) -> bool {
        while table.pages.len() * PAGE_POSITIONS < positions {
            if table.reserved == 0 {
                return false;
            }
            let Some(page) = self.take() else { return false };
            table.reserved -= 1;
            self.reserved -= 1;
            table.pages.push(page);
        }
        true
    }

    fn take(&mut self) -> Option<PageId> {
        let page = match self.blank.pop() {
            Some(page) => page,
            None => self.idle.pop_first()?.1,
        };
        let state = &mut self.pages[page.0 as usize];
        if let Some(key) = state.key.take() {
            self.prefixes.remove(&key);
        }
        state.references = 1;
        Some(page)
    }

    /// Makes the table's next page findable: it is full, computed, and holds `tokens`.
    ///
    /// If another sequence has already sealed the same page, the table takes that one and lets its own go: their
    /// bits are equal, since a row's result depends on nothing but its sequence.
    pub fn seal(&mut self, table: &mut Table, tokens: &[TokenId]) {
        let Some(&own) = table.pages.get(table.sealed) else { return };
        let entry = match self.prefixes.child(table.tail, tokens) {
            Some(known) => {
                self.hold(known.page);
                table.pages[table.sealed] = known.page;
                self.let_go(own);
                known
            }
            None => {
                let (entry, key) = self.prefixes.insert(table.tail, tokens, own);
                self.pages[own.0 as usize].key = Some(key);
                entry
            }
        };
        table.tail = Parent::Node(entry.node);
        table.sealed += 1;
    }

    /// Gives a table's pages and reservations back.
    pub fn release(&mut self, table: Table) {
        self.reserved -= table.reserved;
        // From the back: a page is then never idle for longer than one that builds on it, so that eviction takes the
        // ends of prefixes first and leaves no page whose parent is gone.
        for page in table.pages.into_iter().rev() {
            self.let_go(page);
        }
    }

    fn references(&self, page: PageId) -> u32 {
        self.pages[page.0 as usize].references
    }

    fn hold(&mut self, page: PageId) {
        let state = &mut self.pages[page.0 as usize];
        if state.references == 0 {
            self.idle.remove(&state.idle_since);
        }
        state.references += 1;
    }

    fn let_go(&mut self, page: PageId) {
        let state = &mut self.pages[page.0 as usize];
        state.references -= 1;
        if state.references > 0 {
            return;
        }
        if state.key.is_some() {
            self.tick += 1;
            state.idle_since = self.tick;
            self.idle.insert(self.tick, page);
        } else {
            self.blank.push(page);
        }
    }
}

#[cfg(test)]
mod tests;
