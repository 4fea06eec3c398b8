//! Finds the page that holds given tokens after given tokens.
//!
//! A trie: a full page is a child of the page before it, by its very token ids. There is no hash, so there is no
//! collision that could give one prompt another's keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use helixflow_model::TokenId;

use crate::compute::PageId;

/// Keeps tenants apart: a prefix is found only under the salt it was stored with, so that no tenant can learn from
/// timing what another has asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheSalt(pub u128);

/// What stands before a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parent {
    /// Nothing: the page begins a sequence.
    Root(CacheSalt),
    /// The page of this node. Nodes are numbered once and never again, so that a page outliving its parent is not
    /// found under a later one.
    Node(u64),
}

/// A page in the trie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) page: PageId,
    pub(super) node: u64,
}

/// Where a page hangs in the trie; enough to take it out.
#[derive(Clone, Debug)]
pub(super) struct Key {
    parent: Parent,
    tokens: Arc<[TokenId]>,
}

/// All full pages that can be found.
#[derive(Debug, Default)]
pub(super) struct PrefixIndex {
    children: BTreeMap<Parent, BTreeMap<Arc<[TokenId]>, Entry>>,
    nodes: u64,
}

impl PrefixIndex {
    /// The page that holds `tokens` right after `parent`.
    pub(super) fn child(&self, parent: Parent, tokens: &[TokenId]) -> Option<Entry> {
        self.children.get(&parent)?.get(tokens).copied()
    }

    /// Hangs a page under `parent`, where no page of these tokens hangs yet.
    pub(super) fn insert(&mut self, parent: Parent, tokens: &[TokenId], page: PageId) -> (Entry, Key) {
        let entry = Entry { page, node: self.nodes };
        self.nodes += 1;
        let tokens: Arc<[TokenId]> = tokens.into();
        self.children.entry(parent).or_default().insert(Arc::clone(&tokens), entry);
        (entry, Key { parent, tokens })
    }

    /// Takes a page out: it cannot be found from now on.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(siblings) = self.children.get_mut(&key.parent) {
            siblings.remove(&key.tokens);
            if siblings.is_empty() {
                self.children.remove(&key.parent);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.children.values().map(BTreeMap::len).sum()
    }
}
