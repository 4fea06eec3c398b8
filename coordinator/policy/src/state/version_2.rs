//! The second layout of the state, as snapshots of version 2 hold it, and of what it shares with the first. Frozen: it
//! changes no more.
//!
//! Entries kept their layout: what models ask of boards came as a command of its own, so that builds which do not know
//! of it go on reading the rest. [`spec`] writes a model as all of them read it.

use std::collections::{BTreeMap, BTreeSet};

use helixflow_model::{
    Architecture, Bytes, CoordinatorId, Epoch, KeyId, ModelId, ModelSource, ModelSpec, NodeId, Region,
    ReplicaId, Requirements, SessionId, TenantId, UnixMillis,
};
use serde::{Deserialize, Serialize};

use super::{
    Capacity, ClusterState, Coordinator, HeatRecord, Identity, Key, ModelKey, Node, NodeHealth, NodeUuid,
    RegionRecord, Replica, Session, SharedMap, Tenant,
};

/// A model, before models asked for anything.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SpecVersion2 {
    id: ModelId,
    version: String,
    architecture: Architecture,
    layers: u32,
    context: u32,
    memory: Bytes,
    sha256: String,
    size: Bytes,
    sources: Vec<ModelSource>,
    replicas: u32,
}

impl From<SpecVersion2> for ModelSpec {
    fn from(old: SpecVersion2) -> Self {
        Self {
            id: old.id,
            version: old.version,
            architecture: old.architecture,
            layers: old.layers,
            context: old.context,
            memory: old.memory,
            sha256: old.sha256,
            size: old.size,
            sources: old.sources,
            replicas: old.replicas,
            requires: Requirements::default(),
        }
    }
}

/// A model without what it asks for, in the layout of [`SpecVersion2`].
pub(super) mod spec {
    use helixflow_model::ModelSpec;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::SpecVersion2;

    pub(in super::super) fn serialize<S: Serializer>(spec: &ModelSpec, to: S) -> Result<S::Ok, S::Error> {
        let spec = spec.clone();
        let old = SpecVersion2 {
            id: spec.id,
            version: spec.version,
            architecture: spec.architecture,
            layers: spec.layers,
            context: spec.context,
            memory: spec.memory,
            sha256: spec.sha256,
            size: spec.size,
            sources: spec.sources,
            replicas: spec.replicas,
        };
        old.serialize(to)
    }

    pub(in super::super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<ModelSpec, D::Error> {
        SpecVersion2::deserialize(from).map(Into::into)
    }
}

/// A node, before anything was known of its boards.
#[derive(Debug, Deserialize)]
pub(super) struct NodeVersion2 {
    uuid: NodeUuid,
    region: Region,
    advertise: String,
    capacity: Capacity,
    joined: Epoch,
    health: NodeHealth,
    health_since: Epoch,
}

impl From<NodeVersion2> for Node {
    fn from(old: NodeVersion2) -> Self {
        Self {
            uuid: old.uuid,
            region: old.region,
            advertise: old.advertise,
            capacity: old.capacity,
            joined: old.joined,
            health: old.health,
            health_since: old.health_since,
            boards: BTreeSet::new(),
            heat: HeatRecord::default(),
        }
    }
}

/// The same map in today's layout.
pub(super) fn fresh<K: Ord, L: Into<T>, T>(old: BTreeMap<K, L>) -> BTreeMap<K, T> {
    old.into_iter().map(|(key, value)| (key, value.into())).collect()
}

/// The state as version 2 laid it out.
#[derive(Debug, Deserialize)]
pub struct StateVersion2 {
    identity: Option<Identity>,
    coordinators: BTreeMap<CoordinatorId, Coordinator>,
    nodes: BTreeMap<NodeId, NodeVersion2>,
    models: BTreeMap<ModelKey, SpecVersion2>,
    replicas: BTreeMap<ReplicaId, Replica>,
    last_node: u64,
    last_replica: u64,
    epoch: Epoch,
    changed: Epoch,
    tenants: SharedMap<TenantId, Tenant>,
    keys: SharedMap<KeyId, Key>,
    regions: BTreeMap<Region, RegionRecord>,
    last_coordinator: u64,
    observers: BTreeSet<CoordinatorId>,
    leader_regions: Vec<Region>,
    sessions: SharedMap<SessionId, Session>,
    clock: UnixMillis,
}

impl From<StateVersion2> for ClusterState {
    fn from(old: StateVersion2) -> Self {
        Self {
            identity: old.identity,
            coordinators: old.coordinators,
            nodes: fresh(old.nodes),
            models: fresh(old.models),
            replicas: old.replicas,
            last_node: old.last_node,
            last_replica: old.last_replica,
            epoch: old.epoch,
            changed: old.changed,
            tenants: old.tenants,
            keys: old.keys,
            regions: old.regions,
            last_coordinator: old.last_coordinator,
            observers: old.observers,
            leader_regions: old.leader_regions,
            sessions: old.sessions,
            clock: old.clock,
        }
    }
}
