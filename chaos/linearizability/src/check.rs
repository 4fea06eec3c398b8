//! The decision: clusters of one value each, and no two of them each before the other.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::cluster::{Cluster, clusters};
use crate::{Operation, Violation};

/// Accepts a history that one register a key could have given, its operations in any order.
///
/// The algorithm is that of Gibbons and Korach, "Testing shared memories", 1997, section 4: a write and the reads of its
/// value form a cluster, which a linearization holds together. Cluster A must come before B if an operation of A returned
/// before one of B was invoked. Such demands cannot all be met exactly if two clusters each must come before the other,
/// since a longer ring of them always holds such a pair. Whether there is a pair shows from the order of two moments a
/// cluster: its first response and its last invocation.
///
/// # Errors
/// The first [`Violation`] found, in the order of the keys.
pub fn check<K, V>(operations: &[Operation<K, V>]) -> Result<(), Violation<K, V>>
where
    K: Ord + Clone + Debug,
    V: Ord + Clone + Debug,
{
    let mut by_key: BTreeMap<&K, Vec<&Operation<K, V>>> = BTreeMap::new();
    for operation in operations {
        let invoked = operation.invoked;
        if let Some(returned) = operation.returned.filter(|returned| *returned < invoked) {
            let key = operation.key.clone();
            return Err(Violation::ReturnedBeforeInvoked { key, invoked, returned });
        }
        by_key.entry(&operation.key).or_default().push(operation);
    }
    for (key, operations) in by_key {
        let clusters = clusters(key, &operations)?;
        if let Some((first, second)) = interleaved(&clusters) {
            return Err(Violation::Interleaved {
                key: key.clone(),
                first: first.value.cloned(),
                first_seen: first.moments(),
                second: second.value.cloned(),
                second_seen: second.moments(),
            });
        }
    }
    Ok(())
}

/// Two clusters each of which must come before the other; at least one of such a pair holds a span.
fn interleaved<'c, 'a, V>(
    clusters: &'c [Cluster<'a, V>],
) -> Option<(&'c Cluster<'a, V>, &'c Cluster<'a, V>)> {
    let (mut spans, instants): (Vec<_>, Vec<_>) = clusters.iter().partition(|c| c.holds_a_span());
    spans.sort_by_key(|span| span.first_returned);
    if let Some((one, next)) = spans.iter().zip(spans.iter().skip(1)).find(|(one, next)| next.precedes(one)) {
        return Some((one, next));
    }
    // No two spans meet, so the last that precedes an instant is the only one that may also follow it.
    instants.into_iter().find_map(|instant| {
        let preceding = spans.partition_point(|span| span.precedes(instant));
        let span = preceding.checked_sub(1).and_then(|last| spans.get(last))?;
        instant.precedes(span).then_some((*span, instant))
    })
}
