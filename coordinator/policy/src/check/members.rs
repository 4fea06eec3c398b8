//! Invariants of nodes: ids, uuids, epochs, committed memory, and what is known of their boards.

use std::collections::BTreeMap;

use helixflow_model::{Bytes, NodeId};

use super::{Violation, Wrong};
use crate::state::{ClusterState, MAX_BOARD_KINDS, MAX_FEATURES, Node, NodeUuid};

pub(super) fn check(state: &ClusterState, found: &mut Vec<Violation>) {
    let mut uuids: BTreeMap<NodeUuid, NodeId> = BTreeMap::new();
    let committed = state.committed();
    for (id, node) in &state.nodes {
        let mut wrong = |wrong| found.push(Violation::Node(*id, wrong));
        if id.0 == 0 || id.0 > state.last_node {
            wrong(Wrong::NeverAllotted { last: state.last_node });
        }
        if let Some(other) = uuids.insert(node.uuid, *id) {
            wrong(Wrong::UuidTwice { other });
        }
        if let Some(problem) = epochs(state, node) {
            wrong(problem);
        }
        if node.heat.since > state.epoch {
            wrong(Wrong::FromTheFuture { epoch: node.heat.since });
        }
        let features = node.boards.iter().map(|board| board.features.len()).max().unwrap_or(0);
        for (held, limit) in [(node.boards.len(), MAX_BOARD_KINDS), (features, MAX_FEATURES)] {
            if held > limit {
                wrong(Wrong::AboveBound { held, limit });
            }
        }
        let committed = committed.get(id).copied().unwrap_or(Bytes(0));
        if committed > node.capacity.memory {
            wrong(Wrong::OverCommitted { committed, capacity: node.capacity.memory });
        }
    }
}

/// A node joins first, then its health may change, and neither is later than the last change of all.
fn epochs(state: &ClusterState, node: &Node) -> Option<Wrong> {
    let in_order = node.joined <= node.health_since && node.health_since <= state.changed;
    (!in_order).then_some(Wrong::FromTheFuture { epoch: node.health_since })
}
