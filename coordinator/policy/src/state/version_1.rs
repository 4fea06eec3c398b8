//! The first layout of the state, as snapshots of version 1 hold it. Frozen: it changes no more.
//!
//! What came later takes a default that does not depend on when the snapshot was made, so that a replica which reads
//! it has the same state as one that applies the whole log.

use std::collections::BTreeMap;

use helixflow_model::{CoordinatorId, Epoch, ModelSpec, NodeId, ReplicaId};
use serde::Deserialize;

use super::{ClusterState, Coordinator, Identity, ModelKey, Node, Replica};

/// The state as version 1 laid it out.
#[derive(Debug, Deserialize)]
pub struct StateVersion1 {
    identity: Option<Identity>,
    coordinators: BTreeMap<CoordinatorId, Coordinator>,
    nodes: BTreeMap<NodeId, Node>,
    models: BTreeMap<ModelKey, ModelSpec>,
    replicas: BTreeMap<ReplicaId, Replica>,
    last_node: u64,
    last_replica: u64,
    epoch: Epoch,
    changed: Epoch,
}

impl From<StateVersion1> for ClusterState {
    fn from(old: StateVersion1) -> Self {
        Self {
            last_coordinator: old.coordinators.keys().next_back().map_or(0, |id| id.0),
            identity: old.identity,
            coordinators: old.coordinators,
            nodes: old.nodes,
            models: old.models,
            replicas: old.replicas,
            last_node: old.last_node,
            last_replica: old.last_replica,
            epoch: old.epoch,
            changed: old.changed,
            ..Self::default()
        }
    }
}
