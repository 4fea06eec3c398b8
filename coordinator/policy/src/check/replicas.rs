//! Invariants of replicas: every layer once, each node once, known models and nodes whose boards suit, allotted ids.

use std::collections::BTreeSet;

use helixflow_model::{LayerRange, ReplicaId};

use super::{Violation, Wrong};
use crate::state::{ClusterState, MAX_LAYERS, MAX_PARTS, Part, Replica};

pub(super) fn check(state: &ClusterState, found: &mut Vec<Violation>) {
    for (id, replica) in &state.replicas {
        let problems = [
            identity(state, *id, replica),
            parts(state, replica),
            layers(state, replica),
            boards(state, replica),
        ];
        found.extend(problems.into_iter().flatten().map(|wrong| Violation::Replica(*id, wrong)));
    }
}

fn identity(state: &ClusterState, id: ReplicaId, replica: &Replica) -> Option<Wrong> {
    if id.0 == 0 || id.0 > state.last_replica {
        Some(Wrong::NeverAllotted { last: state.last_replica })
    } else if replica.generation.0 == 0 {
        Some(Wrong::NoGeneration)
    } else if replica.placed > state.changed {
        Some(Wrong::FromTheFuture { epoch: replica.placed })
    } else {
        None
    }
}

fn parts(state: &ClusterState, replica: &Replica) -> Option<Wrong> {
    if replica.parts.len() > MAX_PARTS {
        return Some(Wrong::AboveBound { held: replica.parts.len(), limit: MAX_PARTS });
    }
    let mut seen = BTreeSet::new();
    for part in &replica.parts {
        if !state.nodes.contains_key(&part.node) {
            return Some(Wrong::UnknownNode { node: part.node });
        }
        if !seen.insert(part.node) {
            return Some(Wrong::NodeTwice { node: part.node });
        }
    }
    let in_order = replica.parts.is_sorted_by_key(|part| part.layers.first);
    (!in_order).then_some(Wrong::PartsOutOfOrder)
}

/// A node of which nothing is known is told of by [`parts`], a model by [`layers`].
fn boards(state: &ClusterState, replica: &Replica) -> Option<Wrong> {
    let spec = state.models.get(&replica.model)?;
    let unsuited = |part: &&Part| state.nodes.get(&part.node).is_some_and(|node| !node.suits(spec));
    replica.parts.iter().find(unsuited).map(|part| Wrong::BoardsDoNotSuit { node: part.node })
}

fn layers(state: &ClusterState, replica: &Replica) -> Option<Wrong> {
    let Some(spec) = state.models.get(&replica.model) else {
        return Some(Wrong::UnknownModel { model: replica.model.clone() });
    };
    let stray = |range: &LayerRange| range.count() == 0 || range.end > spec.layers;
    if let Some(part) = replica.parts.iter().find(|part| stray(&part.layers)) {
        return Some(Wrong::StrayPart { node: part.node });
    }
    (0..spec.layers.min(MAX_LAYERS)).find_map(|layer| {
        let holds = |range: &LayerRange| range.first <= layer && layer < range.end;
        let times = replica.parts.iter().filter(|part| holds(&part.layers)).count();
        (times != 1).then_some(Wrong::LayerHeld { layer, times })
    })
}
