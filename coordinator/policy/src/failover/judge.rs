//! The judgement itself: from leases to changes of health.

use std::{cmp::Reverse, time::Duration};

use helixflow_model::{Epoch, NodeId};

use super::{LeaseTerms, Leases, Wards};
use crate::state::{ClusterState, Command, Node, NodeHealth};

/// A change of health that the leases call for.
struct Change {
    node: NodeId,
    health: NodeHealth,
    expected: Epoch,
}

/// The changes of health to propose now: returns first, then losses, the longest silence first.
///
/// Only the judge's own wards count. A node is lost once it was silent for the lease while the judge listened for as long; it is live again once it
/// reported steadily. When nobody at all is heard, the judge doubts itself and waits longer. At most
/// [`LeaseTerms::changes_a_round`] come at once; the rest comes with the next round.
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
        leases
            .nodes
            .get(&node)
            .is_some_and(|lease| lease.silent < terms.lease && lease.steady >= terms.steady)
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
    let mut silent: Vec<(Reverse<Duration>, NodeId, Epoch)> = with_health(state, NodeHealth::Live, wards)
        .map(|(node, since)| (Reverse(leases.silence(node).min(leases.tenure)), node, since))
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
