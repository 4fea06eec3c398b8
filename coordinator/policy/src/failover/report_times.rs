//! When each node was last heard of: soft state of the coordinator that judges.
//!
//! Times are durations since an origin that the caller chose once and keeps; they never leave the process.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use helixflow_model::NodeId;

use super::{Lease, LeaseTerms, Leases, verdicts::Verdicts};
use crate::state::ClusterState;

/// A judge whose rounds come later than this was stalled, and so may be what it knows of others: it listens for a
/// whole lease again before it judges.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// When a node was heard of.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// The last report.
    last: Duration,
    /// The first of those that have come since without a gap as long as the lease.
    first: Duration,
}

/// When each node was last heard of, and since when somebody listens.
#[derive(Clone, Debug)]
pub struct ReportTimes {
    terms: LeaseTerms,
    begun: Duration,
    last_round: Duration,
    members: BTreeSet<NodeId>,
    heard: BTreeMap<NodeId, Times>,
    verdicts: Verdicts,
}

impl ReportTimes {
    /// Begins to listen: on becoming the judge. No silence from before counts.
    pub fn begin(terms: LeaseTerms, state: &ClusterState, now: Duration) -> Self {
        let members = state.nodes().keys().copied().collect();
        let mut verdicts = Verdicts::default();
        verdicts.look(state, now);
        Self { terms, begun: now, last_round: now, members, heard: BTreeMap::new(), verdicts }
    }

    /// Notes that a node reported.
    pub fn hear(&mut self, node: NodeId, now: Duration) {
        let times = self.heard.entry(node).or_insert(Times { last: now, first: now });
        if now.saturating_sub(times.last) >= self.terms.lease {
            times.first = now;
        }
        times.last = now;
    }

    /// What a round of judging goes by. A node that joined since the last round counts as heard now, before its
    /// first report; a round that comes late begins the tenure anew.
    pub fn round(&mut self, state: &ClusterState, now: Duration) -> Leases {
        if now.saturating_sub(self.last_round) > LONGEST_PAUSE {
            self.begun = now;
        }
        self.last_round = now;
        for node in state.nodes().keys() {
            if self.members.insert(*node) {
                self.hear(*node, now);
            }
        }
        self.heard.retain(|node, _| state.nodes().contains_key(node));
        self.verdicts.look(state, now);
        let lease = |times: &Times| Lease {
            silent: now.saturating_sub(times.last),
            steady: times.last.saturating_sub(times.first),
        };
        Leases {
            tenure: now.saturating_sub(self.begun),
            nodes: self.heard.iter().map(|(node, times)| (*node, lease(times))).collect(),
            verdicts: self.verdicts.standing(now),
        }
    }
}
