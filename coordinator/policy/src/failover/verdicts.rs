//! For how long one judge has seen each verdict stand, and how often nodes have come back lately: soft state.
//!
//! Two may judge the same node after a cut inside their region, and hear different things of it. Were each to go by
//! silence alone, they would overrule each other with every round, and replicas would move each time.

use std::{collections::BTreeMap, time::Duration};

use helixflow_model::{Epoch, NodeId};

use super::Verdict;
use crate::state::{ClusterState, NodeHealth};

/// A return is forgotten once so long a time has passed without another: well above the longest wait for one.
const LATELY: Duration = Duration::from_secs(600);

/// One verdict, as it was seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    since: Epoch,
    at: Duration,
    returns: u32,
    returned: Duration,
}

/// The verdicts on all nodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts(BTreeMap<NodeId, Seen>);

impl Verdicts {
    /// Looks at the present verdicts; one that is new counts from now.
    pub(super) fn look(&mut self, state: &ClusterState, now: Duration) {
        self.0.retain(|id, _| state.nodes().contains_key(id));
        for (id, node) in state.nodes() {
            let since = node.health_since;
            let new = Seen { since, at: now, returns: 0, returned: now };
            let seen = self.0.entry(*id).or_insert(new);
            if now.saturating_sub(seen.returned) >= LATELY {
                seen.returns = 0;
            }
            if seen.since != since {
                (seen.since, seen.at) = (since, now);
                if node.health == NodeHealth::Live {
                    (seen.returns, seen.returned) = (seen.returns.saturating_add(1), now);
                }
            }
        }
    }

    /// How they stand.
    pub(super) fn standing(&self, now: Duration) -> BTreeMap<NodeId, Verdict> {
        let standing = |seen: &Seen| Verdict { stood: now.saturating_sub(seen.at), returns: seen.returns };
        self.0.iter().map(|(id, seen)| (*id, standing(seen))).collect()
    }
}
