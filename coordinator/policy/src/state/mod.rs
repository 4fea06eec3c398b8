//! The replicated state: what the log says, on every coordinator the same.
//!
//! [`ClusterState::apply`] is the only way to change it. It is total: whatever the command, it neither panics nor
//! reads a clock nor draws a number, and a command that does not fit changes nothing but the epoch and is answered
//! with a typed [`Refusal`]. Temperatures, load and lease renewals are soft state and do not live here.

mod command;
mod coordinators;
mod heat;
mod level;
mod limits;
mod members;
mod models;
mod moves;
mod outcome;
mod proposal;
mod records;
mod regions;
mod sessions;
mod shared_map;
mod tenants;
mod version_1;
mod version_2;

use std::collections::{BTreeMap, BTreeSet};

use helixflow_model::{
    Bytes, CoordinatorId, Epoch, Fence, KeyId, LayerRange, ModelId, ModelSpec, NodeId, Region,
    ReplicaAssignment, ReplicaId, SessionId, TenantId, UnixMillis,
};
use serde::{Deserialize, Serialize};

pub use command::{Command, Move, MoveReason};
pub use heat::{Heat, HeatRecord};
pub use level::FEATURE_LEVEL;
pub use limits::{
    MAX_ADDRESS_BYTES, MAX_BOARD_KINDS, MAX_COORDINATORS, MAX_DISPLAY_NAME_BYTES, MAX_FEATURES,
    MAX_HEAT_CHANGES, MAX_KEYS, MAX_LAYERS, MAX_LEADER_REGIONS, MAX_MODELS, MAX_MOVES, MAX_NODES, MAX_PARTS,
    MAX_REGIONS, MAX_REPLICAS, MAX_SESSIONS, MAX_SOURCE_BYTES, MAX_SOURCES, MAX_TENANTS, MAX_VERSION_BYTES,
};
pub use outcome::{Bounded, Field, Outcome, Refusal};
pub use proposal::{Proposal, WriteId};
pub use records::{
    Capacity, Coordinator, Identity, InvalidNodeUuid, ModelKey, Node, NodeHealth, NodeUuid, Part, Replica,
    Voting,
};
pub use regions::{RegionHealth, RegionRecord};
pub use sessions::{SESSION_LIFE, Session, Settled};
pub use shared_map::SharedMap;
pub use tenants::{Key, KeyDigest, Tenant};
pub use version_1::{CommandVersion1, StateVersion1};
pub use version_2::StateVersion2;

/// Everything that the log has decided so far; the default is a cluster that was never bootstrapped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterState {
    pub(crate) identity: Option<Identity>,
    pub(crate) coordinators: BTreeMap<CoordinatorId, Coordinator>,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    pub(crate) models: BTreeMap<ModelKey, ModelSpec>,
    pub(crate) replicas: BTreeMap<ReplicaId, Replica>,
    /// The number of the last node ever allotted: ids are never reused.
    pub(crate) last_node: u64,
    /// The number of the last replica ever allotted.
    pub(crate) last_replica: u64,
    pub(crate) epoch: Epoch,
    pub(crate) changed: Epoch,
    pub(crate) tenants: SharedMap<TenantId, Tenant>,
    pub(crate) keys: SharedMap<KeyId, Key>,
    /// Those that somebody judged; every other one is live.
    pub(crate) regions: BTreeMap<Region, RegionRecord>,
    /// The highest id that a coordinator ever had.
    pub(crate) last_coordinator: u64,
    /// The coordinators that never vote.
    pub(crate) observers: BTreeSet<CoordinatorId>,
    /// Where the leader should stand, the most preferred region first.
    pub(crate) leader_regions: Vec<Region>,
    pub(crate) sessions: SharedMap<SessionId, Session>,
    /// The latest stamp of an entry.
    pub(crate) clock: UnixMillis,
}

impl ClusterState {
    /// Applies the write that the log holds at `index`.
    ///
    /// A refused command changes nothing but [`Self::epoch`], the clock and its session's last outcome; an index at or
    /// below the epoch changes nothing at all.
    pub fn apply(&mut self, index: u64, proposal: impl Into<Proposal>) -> Outcome {
        if index <= self.epoch.0 {
            return Outcome::Refused { reason: Refusal::IndexNotNewer { index, applied: self.epoch } };
        }
        let Proposal { stamp, write, command } = proposal.into();
        self.epoch = Epoch(index);
        self.clock = self.clock.max(stamp);
        match write {
            Some(write) => self.run_once(write, command),
            None => self.run(command),
        }
    }

    fn run(&mut self, command: Command) -> Outcome {
        self.dispatch(command).unwrap_or_else(|reason| Outcome::Refused { reason })
    }

    fn dispatch(&mut self, command: Command) -> Result<Outcome, Refusal> {
        match command {
            Command::Bootstrap { cluster, incarnation } => self.bootstrap(cluster, incarnation),
            _ if self.identity.is_none() => Err(Refusal::NotBootstrapped),
            Command::RegisterCoordinator { id, coordinator } => self.register_coordinator(id, coordinator),
            Command::JoinNode { uuid, region, advertise, capacity } => {
                self.join_node(uuid, region, advertise, capacity)
            }
            Command::SetNodeHealth { node, health, expected } => self.set_node_health(node, health, expected),
            Command::AddModel { spec } => self.add_plain_model(spec),
            Command::AddModelRequiring { spec } => self.add_model(spec),
            Command::ScaleModel { model, version, replicas } => {
                self.scale_model(ModelKey { id: model, version }, replicas)
            }
            Command::RemoveModel { model, version } => self.remove_model(&ModelKey { id: model, version }),
            Command::ApplyPlan { based_on, moves } => self.apply_plan(based_on, moves),
            Command::PutTenant { tenant, display_name, expected } => {
                self.put_tenant(tenant, display_name, expected)
            }
            Command::RemoveTenant { tenant } => self.remove_tenant(&tenant),
            Command::PutKey { id, key } => self.put_key(id, key),
            Command::RemoveKey { id } => self.remove_key(&id),
            Command::SetRegionHealth { region, health, expected } => {
                self.set_region_health(region, health, expected)
            }
            Command::AdmitCoordinator { id, coordinator, voting } => {
                self.admit_coordinator(id, coordinator, voting)
            }
            Command::RemoveCoordinator { id } => self.remove_coordinator(id),
            Command::SetLeaderRegions { regions } => self.set_leader_regions(regions),
            Command::OpenSession => self.open_session(),
            Command::DescribeBoards { node, boards } => self.describe_boards(node, boards),
            Command::RecordHeat { changes } => self.record_heat(&changes),
        }
    }

    /// Notes that this entry changed something that plans rest on, and gives its epoch.
    fn note_change(&mut self) -> Epoch {
        self.changed = self.epoch;
        self.epoch
    }

    /// The cluster's id and incarnation; `None` before the bootstrap.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Every registered coordinator.
    pub fn coordinators(&self) -> &BTreeMap<CoordinatorId, Coordinator> {
        &self.coordinators
    }

    /// The coordinators that never vote.
    pub fn observers(&self) -> &BTreeSet<CoordinatorId> {
        &self.observers
    }

    /// The lowest id that a new coordinator may have.
    pub fn next_coordinator(&self) -> CoordinatorId {
        CoordinatorId(self.last_coordinator.saturating_add(1))
    }

    /// Where the leader should stand, the most preferred region first.
    pub fn leader_regions(&self) -> &[Region] {
        &self.leader_regions
    }

    /// Every node that ever joined, lost ones included.
    pub fn nodes(&self) -> &BTreeMap<NodeId, Node> {
        &self.nodes
    }

    /// The node that drew this uuid.
    pub fn node_by_uuid(&self, uuid: NodeUuid) -> Option<(NodeId, &Node)> {
        self.nodes.iter().find(|(_, node)| node.uuid == uuid).map(|(id, node)| (*id, node))
    }

    /// Every model that is served, by id and version.
    pub fn models(&self) -> &BTreeMap<ModelKey, ModelSpec> {
        &self.models
    }

    /// The versions of one model, in the order of their names.
    pub fn versions_of<'a>(&'a self, model: &'a ModelId) -> impl Iterator<Item = &'a ModelSpec> {
        let first = ModelKey { id: model.clone(), version: String::new() };
        self.models.range(first..).take_while(move |(key, _)| key.id == *model).map(|(_, spec)| spec)
    }

    /// Every replica and where its parts run.
    pub fn replicas(&self) -> &BTreeMap<ReplicaId, Replica> {
        &self.replicas
    }

    /// Every tenant.
    pub fn tenants(&self) -> &SharedMap<TenantId, Tenant> {
        &self.tenants
    }

    /// Every API key.
    pub fn keys(&self) -> &SharedMap<KeyId, Key> {
        &self.keys
    }

    /// A region's health and since when; one that nobody judged is live since the beginning.
    pub fn region(&self, region: &Region) -> RegionRecord {
        self.regions.get(region).copied().unwrap_or_default()
    }

    /// The log index applied last.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The log index of the last command that changed anything that plans rest on; a plan older than this is stale.
    /// Tenants, keys and sessions are none of it: a load of such writes must not keep the cluster from placing.
    pub fn changed(&self) -> Epoch {
        self.changed
    }

    /// What one node is to run, in the order of replica ids.
    pub fn assignments(&self, node: NodeId) -> Vec<ReplicaAssignment> {
        let assigned = |(id, replica): (&ReplicaId, &Replica), layers: LayerRange| ReplicaAssignment {
            fence: Fence { replica: *id, generation: replica.generation },
            epoch: self.epoch,
            model: replica.model.id.clone(),
            version: replica.model.version.clone(),
            layers,
        };
        self.replicas
            .iter()
            .flat_map(|entry| entry.1.parts.iter().map(move |part| (entry, part)))
            .filter(|(_, part)| part.node == node)
            .map(|(entry, part)| assigned(entry, part.layers))
            .collect()
    }

    /// The memory that replicas hold on each node; a node without any is absent.
    pub fn committed(&self) -> BTreeMap<NodeId, Bytes> {
        let mut committed: BTreeMap<NodeId, Bytes> = BTreeMap::new();
        for replica in self.replicas.values() {
            for (node, memory) in replica.memory(self.models.get(&replica.model)) {
                let total = committed.entry(node).or_default();
                total.0 = total.0.saturating_add(memory.0);
            }
        }
        committed
    }
}
