//! The first layout of commands and of the state, as logs and snapshots of version 1 hold them. Frozen: it changes no
//! more.
//!
//! What came later takes a default that does not depend on when the snapshot was made, so that a replica which reads
//! it has the same state as one that applies the whole log.

use std::collections::BTreeMap;

use helixflow_model::{
    ClusterId, CoordinatorId, Epoch, FeatureLevel, Incarnation, ModelId, NodeId, Region, ReplicaId,
};
use serde::Deserialize;

use super::{
    Capacity, ClusterState, Command, Coordinator, Identity, ModelKey, Move, NodeHealth, NodeUuid, Replica,
    version_2::{NodeVersion2, SpecVersion2, fresh},
};

/// What every build can do that wrote version 1.
const LEVEL: FeatureLevel = FeatureLevel(1);

#[derive(Debug, Deserialize)]
struct CoordinatorVersion1 {
    region: Region,
    grpc: String,
    raft: String,
}

impl From<CoordinatorVersion1> for Coordinator {
    fn from(old: CoordinatorVersion1) -> Self {
        Self { region: old.region, grpc: old.grpc, raft: old.raft, level: LEVEL }
    }
}

/// A command as version 1 laid it out.
#[derive(Debug, Deserialize)]
pub struct CommandVersion1(Old);

#[derive(Debug, Deserialize)]
enum Old {
    Bootstrap { cluster: ClusterId, incarnation: Incarnation },
    RegisterCoordinator { id: CoordinatorId, coordinator: CoordinatorVersion1 },
    JoinNode { uuid: NodeUuid, region: Region, advertise: String, capacity: Capacity },
    SetNodeHealth { node: NodeId, health: NodeHealth, expected: Epoch },
    AddModel { spec: SpecVersion2 },
    ScaleModel { model: ModelId, version: String, replicas: u32 },
    RemoveModel { model: ModelId, version: String },
    ApplyPlan { based_on: Epoch, moves: Vec<Move> },
}

impl From<CommandVersion1> for Command {
    fn from(CommandVersion1(old): CommandVersion1) -> Self {
        match old {
            Old::Bootstrap { cluster, incarnation } => Self::Bootstrap { cluster, incarnation },
            Old::RegisterCoordinator { id, coordinator } => {
                Self::RegisterCoordinator { id, coordinator: coordinator.into() }
            }
            Old::JoinNode { uuid, region, advertise, capacity } => {
                Self::JoinNode { uuid, region, advertise, capacity }
            }
            Old::SetNodeHealth { node, health, expected } => Self::SetNodeHealth { node, health, expected },
            Old::AddModel { spec } => Self::AddModel { spec: spec.into() },
            Old::ScaleModel { model, version, replicas } => Self::ScaleModel { model, version, replicas },
            Old::RemoveModel { model, version } => Self::RemoveModel { model, version },
            Old::ApplyPlan { based_on, moves } => Self::ApplyPlan { based_on, moves },
        }
    }
}

/// The state as version 1 laid it out.
#[derive(Debug, Deserialize)]
pub struct StateVersion1 {
    identity: Option<Identity>,
    coordinators: BTreeMap<CoordinatorId, CoordinatorVersion1>,
    nodes: BTreeMap<NodeId, NodeVersion2>,
    models: BTreeMap<ModelKey, SpecVersion2>,
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
            coordinators: old.coordinators.into_iter().map(|(id, c)| (id, c.into())).collect(),
            nodes: fresh(old.nodes),
            models: fresh(old.models),
            replicas: old.replicas,
            last_node: old.last_node,
            last_replica: old.last_replica,
            epoch: old.epoch,
            changed: old.changed,
            ..Self::default()
        }
    }
}
