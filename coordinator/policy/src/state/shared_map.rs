//! An ordered map whose copies share what they have in common.
//!
//! The state is copied with every batch that is applied while somebody reads the one before. Maps that change with most
//! writes and may hold thousands are of this kind: a copy costs nothing, a change as much as its path in the tree.

use std::ops::Index;

use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Serialize};

/// A map in the order of its keys. It is stored as a `BTreeMap` is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    transparent,
    bound = "K: Ord + Serialize + for<'a> Deserialize<'a>, V: Serialize + for<'a> Deserialize<'a>"
)]
pub struct SharedMap<K: Ord, V>(RedBlackTreeMapSync<K, V>);

impl<K: Ord, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self(RedBlackTreeMapSync::new_sync())
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.0.size()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    /// Whether the key is there.
    pub fn contains_key(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// Keys and values, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter()
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values()
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.0.insert_mut(key, value);
    }

    /// Whether the key was there.
    pub(crate) fn remove(&mut self, key: &K) -> bool {
        self.0.remove_mut(key)
    }

    /// Removes every entry that is not to be kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(&K, &V) -> bool) {
        let gone: Vec<K> = self.iter().filter(|(k, v)| !keep(k, v)).map(|(k, _)| k.clone()).collect();
        gone.iter().for_each(|key| {
            self.remove(key);
        });
    }
}

impl<K: Ord, V> Index<&K> for SharedMap<K, V> {
    type Output = V;

    /// Panics when the key is not there, as a `BTreeMap` does.
    fn index(&self, key: &K) -> &V {
        &self.0[key]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_a_btree_map_holds_and_its_copies_stay_as_they_were(
            changes in prop::collection::vec((any::<u8>(), prop::option::of(any::<u16>())), 0..200),
        ) {
            let (mut map, mut reference) = (SharedMap::default(), BTreeMap::new());
            for (key, value) in changes {
                let (copy, before) = (map.clone(), reference.clone());
                match value {
                    Some(value) => {
                        map.insert(key, value);
                        reference.insert(key, value);
                    }
                    None => prop_assert_eq!(map.remove(&key), reference.remove(&key).is_some()),
                }
                prop_assert!(copy.iter().eq(before.iter()));
                prop_assert!(map.iter().eq(reference.iter()));
                prop_assert_eq!(map.len(), reference.len());
            }
            map.retain(|key, _| key % 2 == 0);
            reference.retain(|key, _| key % 2 == 0);
            prop_assert!(map.iter().eq(reference.iter()));
        }
    }
}
