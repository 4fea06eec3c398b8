//! A cluster: one write and the reads that returned its value, summed up by the two moments that bound it.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::{Action, Moments, Operation, Violation};

/// A moment wide enough for what happened before the history and after it.
pub(crate) type Moment = i128;

/// When the value that no operation wrote came about.
const BEFORE_ALL: Moment = -1;
/// When an operation returns of which nobody heard again.
const AFTER_ALL: Moment = Moment::MAX;

/// What is known of one value of one key.
#[derive(Debug)]
pub(crate) struct Cluster<'a, V> {
    /// The value; `None` for the one before any write.
    pub(crate) value: Option<&'a V>,
    /// The first response of the write and its reads: the value was there by then.
    pub(crate) first_returned: Moment,
    /// The last invocation of the write and its reads: the value was there again, or still, after that.
    pub(crate) last_invoked: Moment,
}

impl<V> Cluster<'_, V> {
    /// Whether some operation on this value had ended before some operation on the other began.
    pub(crate) fn precedes(&self, other: &Self) -> bool {
        self.first_returned < other.last_invoked
    }

    /// Whether the value surely held from its first response to its last invocation: no other may take effect within.
    pub(crate) fn holds_a_span(&self) -> bool {
        self.precedes(self)
    }

    pub(crate) fn moments(&self) -> Moments {
        Moments {
            first_returned: u64::try_from(self.first_returned).ok(),
            last_invoked: u64::try_from(self.last_invoked).ok(),
        }
    }
}

/// Parts the operations of one key into clusters.
pub(crate) fn clusters<'a, K: Clone + Debug, V: Ord + Clone + Debug>(
    key: &K,
    operations: &[&'a Operation<K, V>],
) -> Result<Vec<Cluster<'a, V>>, Violation<K, V>> {
    let before_all = Cluster { value: None, first_returned: BEFORE_ALL, last_invoked: BEFORE_ALL };
    let mut found = BTreeMap::from([(None, (BEFORE_ALL, before_all))]);
    for operation in operations {
        let Action::Write(value) = &operation.action else { continue };
        let invoked = Moment::from(operation.invoked);
        let returned = operation.returned.map_or(AFTER_ALL, Moment::from);
        let cluster = Cluster { value: Some(value), first_returned: returned, last_invoked: invoked };
        if found.insert(Some(value), (invoked, cluster)).is_some() {
            return Err(Violation::WrittenTwice { key: key.clone(), value: value.clone() });
        }
    }
    for operation in operations {
        let (Action::Read(value), Some(returned)) = (&operation.action, operation.returned) else { continue };
        let Some((written, cluster)) = found.get_mut(&value.as_ref()) else {
            return Err(Violation::NeverWritten { key: key.clone(), value: value.clone(), returned });
        };
        if Moment::from(returned) < *written {
            return Err(Violation::ReadBeforeWrite { key: key.clone(), value: value.clone(), returned });
        }
        cluster.first_returned = cluster.first_returned.min(returned.into());
        cluster.last_invoked = cluster.last_invoked.max(operation.invoked.into());
    }
    Ok(found.into_values().map(|(_, cluster)| cluster).collect())
}
