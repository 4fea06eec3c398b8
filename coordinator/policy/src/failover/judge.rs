//! The judgement itself: from leases to changes of health.

use std::{cmp::Reverse, time::Duration};

use helixflow_model::{Epoch, NodeId};

use super::{Lease, LeaseTerms, Leases, Wards};
use crate::state::{ClusterState, Command, Node, NodeHealth};

/// The most doublings of the time after which a node is live again: the longest wait is 5 s · 2⁶ = 320 s.
const MOST_DOUBLINGS: u32 = 6;

/// A change of health that the leases call for.
struct Change {
    node: NodeId,
    health: NodeHealth,
    expected: Epoch,
}

/// The changes of health to propose now: returns first, then losses, the longest silence first.
///
/// Only the judge's own wards count. A node is lost once it was silent for the lease while the judge listened for as long;
/// it is live again once it reported steadily. Both are counted from the last verdict, which may be another judge's, and
/// whoever comes back again and again waits ever longer. When nobody at all is heard, the judge doubts itself and waits
/// longer. At most [`LeaseTerms::changes_a_round`] come at once; the rest comes with the next round.
pub fn judge(state: &ClusterState, leases: &Leases, terms: &LeaseTerms, wards: &Wards<'_>) -> Vec<Command> {
    let mut changes = returned(state, leases, terms, wards);
    changes.extend(lost(state, leases, terms, wards));
    changes.truncate(terms.changes_a_round);
    changes
        .into_iter()
        .map(|Change { node, health, expected }| Command::SetNodeHealth { node, health, expected })
        .collect()
}

fn returned(state: &ClusterState, leases: &Leases, terms: &LeaseTerms, wards: &Wards<'_>) -> Vec<Change> {
    let back = |node: NodeId| {
        let verdict = leases.verdict(node);
        let enough = terms.steady * (1 << verdict.returns.min(MOST_DOUBLINGS));
        let is_steady =
            |lease: &Lease| lease.silent < terms.lease && lease.steady.min(verdict.stood) >= enough;
        leases.nodes.get(&node).is_some_and(is_steady)
    };
    with_health(state, NodeHealth::Lost, wards)
        .filter(|(node, _)| back(*node))
        .map(|(node, expected)| Change { node, health: NodeHealth::Live, expected })
        .collect()
}

fn lost(state: &ClusterState, leases: &Leases, terms: &LeaseTerms, wards: &Wards<'_>) -> Vec<Change> {
    let is_ward = |id: &NodeId| state.nodes().get(id).is_some_and(|node| wards.include(&node.region));
    let hears_nobody = !leases.live(terms).iter().any(is_ward);
    let patience = if hears_nobody { terms.self_doubt } else { terms.lease };
    let silence = |node| leases.silence(node).min(leases.tenure).min(leases.verdict(node).stood);
    let mut silent: Vec<(Reverse<Duration>, NodeId, Epoch)> = with_health(state, NodeHealth::Live, wards)
        .map(|(node, since)| (Reverse(silence(node)), node, since))
        .filter(|(silence, ..)| silence.0 >= patience)
        .collect();
    silent.sort_unstable();
    silent
        .into_iter()
        .map(|(_, node, expected)| Change { node, health: NodeHealth::Lost, expected })
        .collect()
}

fn with_health<'a>(
    state: &'a ClusterState,
    health: NodeHealth,
    wards: &'a Wards<'_>,
) -> impl Iterator<Item = (NodeId, Epoch)> + 'a {
    let counts = move |(_, node): &(&NodeId, &Node)| node.health == health && wards.include(&node.region);
    state.nodes().iter().filter(counts).map(|(id, node)| (*id, node.health_since))
}
