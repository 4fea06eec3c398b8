//! What can be asked of the replicated state: the payload of a log entry.
//!
//! The variants' order is part of the log's format: new ones go at the end, none is taken out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use helixflow_model::{
    BoardTraits, ClusterId, CoordinatorId, Epoch, Fence, Incarnation, KeyId, ModelId, ModelSpec, NodeId,
    Region, ReplicaId, TenantId,
};
use serde::{Deserialize, Serialize};

use super::{Capacity, Coordinator, Heat, Key, NodeHealth, NodeUuid, Part, RegionHealth, Voting};

/// One change, proposed through the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Begins the life of a cluster; every other command is refused before it.
    Bootstrap {
        /// Drawn at random by whoever bootstraps.
        cluster: ClusterId,
        /// Its life: 1 for a new cluster.
        incarnation: Incarnation,
    },
    /// Makes a coordinator and its addresses known; a repetition with other addresses updates them.
    RegisterCoordinator {
        /// Its id in the Raft group.
        id: CoordinatorId,
        /// Where it stands and how it is reached.
        coordinator: Coordinator,
    },
    /// A node asks to be a member. The same uuid gets the same id for ever; a changed address or capacity is
    /// taken over. A node that was lost stays so until its reports show that it is back.
    JoinNode {
        /// Drawn once by the node and kept on its disk.
        uuid: NodeUuid,
        /// Where it stands.
        region: Region,
        /// Where gateways reach it, `host:port`.
        advertise: String,
        /// What it has to give.
        capacity: Capacity,
    },
    /// Declares a node lost, or live again.
    SetNodeHealth {
        /// Which node.
        node: NodeId,
        /// What it is from now on.
        health: NodeHealth,
        /// The node's [`health_since`](super::Node::health_since) that the judge saw: another means that somebody
        /// judged in between.
        expected: Epoch,
    },
    /// Adds a model that any board will do for to those served. The same spec again changes nothing.
    AddModel {
        /// What it is and how many replicas to keep. Laid out as it was before models asked for anything, so that every
        /// build reads it; what it asks for is neither written nor obeyed.
        #[serde(with = "super::version_2::spec")]
        spec: ModelSpec,
    },
    /// Changes how many replicas of a model to keep.
    ScaleModel {
        /// Which model.
        model: ModelId,
        /// Which version of it.
        version: String,
        /// How many replicas from now on.
        replicas: u32,
    },
    /// Ends serving a model, with all its replicas.
    RemoveModel {
        /// Which model.
        model: ModelId,
        /// Which version of it.
        version: String,
    },
    /// Makes every move of a plan, in order, or none of them.
    ApplyPlan {
        /// The [`ClusterState::epoch`](super::ClusterState::epoch) that the planner saw.
        based_on: Epoch,
        /// What to do.
        moves: Vec<Move>,
    },
    /// Adds a tenant, or changes it. Every put raises its revision.
    PutTenant {
        /// Which tenant.
        tenant: TenantId,
        /// What people read, at most [`MAX_DISPLAY_NAME_BYTES`](super::MAX_DISPLAY_NAME_BYTES) bytes.
        display_name: String,
        /// Compare and set: the [`revision`](super::Tenant::revision) that the writer saw, 0 where it saw no such
        /// tenant. Without one the put is made whatever is there.
        expected: Option<Epoch>,
    },
    /// Ends a tenant, with all its keys.
    RemoveTenant {
        /// Which tenant.
        tenant: TenantId,
    },
    /// Adds an API key, or replaces it.
    PutKey {
        /// Its id.
        id: KeyId,
        /// Whose it is and how it is recognised.
        key: Key,
    },
    /// Ends an API key.
    RemoveKey {
        /// Its id.
        id: KeyId,
    },
    /// Declares a region lost, or live again.
    SetRegionHealth {
        /// Which region: a coordinator or a node stands in it.
        region: Region,
        /// What it is from now on.
        health: RegionHealth,
        /// The [`since`](super::RegionRecord::since) that the judge saw, 0 for a region that nobody judged yet.
        expected: Epoch,
    },
    /// Makes a new coordinator known, before it is made a member. Refused for an id that another one ever had.
    AdmitCoordinator {
        /// Its id in the Raft group.
        id: CoordinatorId,
        /// Where it stands and how it is reached.
        coordinator: Coordinator,
        /// Whether it is to vote.
        voting: Voting,
    },
    /// Forgets a coordinator, once it is no member any more. Its id is never given again.
    RemoveCoordinator {
        /// Which.
        id: CoordinatorId,
    },
    /// Says where the leader should stand, the most preferred region first; none at all leaves it to the elections.
    SetLeaderRegions {
        /// The regions, each once.
        regions: Vec<Region>,
    },
    /// Opens a session, whose id is the log index of this entry.
    OpenSession,
    /// Adds a model that asks something of the board that runs it. The same spec again changes nothing.
    AddModelRequiring {
        /// What it is and how many replicas to keep.
        spec: ModelSpec,
    },
    /// Says of which kinds a node's boards are.
    DescribeBoards {
        /// Which node.
        node: NodeId,
        /// The kinds, at most [`MAX_BOARD_KINDS`](super::MAX_BOARD_KINDS).
        boards: BTreeSet<BoardTraits>,
    },
    /// Records bands and duties that changed, as a region's reporter heard them.
    RecordHeat {
        /// What they are now, of at most [`MAX_HEAT_CHANGES`](super::MAX_HEAT_CHANGES) nodes.
        changes: BTreeMap<NodeId, Heat>,
    },
}

impl Command {
    /// Adds a model, in the layout that the most builds read.
    pub fn add(spec: ModelSpec) -> Self {
        if spec.requires.is_empty() { Self::AddModel { spec } } else { Self::AddModelRequiring { spec } }
    }

    /// What it does, in two words, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bootstrap { .. } => "bootstrap",
            Self::RegisterCoordinator { .. } => "register coordinator",
            Self::JoinNode { .. } => "join node",
            Self::SetNodeHealth { .. } => "set node health",
            Self::AddModel { .. } => "add model",
            Self::ScaleModel { .. } => "scale model",
            Self::RemoveModel { .. } => "remove model",
            Self::ApplyPlan { .. } => "apply plan",
            Self::PutTenant { .. } => "put tenant",
            Self::RemoveTenant { .. } => "remove tenant",
            Self::PutKey { .. } => "put key",
            Self::RemoveKey { .. } => "remove key",
            Self::SetRegionHealth { .. } => "set region health",
            Self::AdmitCoordinator { .. } => "admit coordinator",
            Self::RemoveCoordinator { .. } => "remove coordinator",
            Self::SetLeaderRegions { .. } => "set leader regions",
            Self::OpenSession => "open session",
            Self::AddModelRequiring { .. } => "add model with requirements",
            Self::DescribeBoards { .. } => "describe boards",
            Self::RecordHeat { .. } => "record heat",
        }
    }
}

/// One step of a plan, with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Move {
    /// A new replica; the log allots its id.
    PlaceReplica {
        /// The model.
        model: ModelId,
        /// Its version.
        version: String,
        /// Which node runs which layers, in the order of layers.
        parts: Vec<Part>,
        /// Why.
        reason: MoveReason,
    },
    /// The end of a replica.
    RemoveReplica {
        /// Which, at the generation that the planner saw.
        fence: Fence,
        /// Why.
        reason: MoveReason,
    },
    /// The same replica on other nodes, at the next generation.
    MoveReplica {
        /// Which, at the generation that the planner saw.
        fence: Fence,
        /// Which node runs which layers from now on.
        parts: Vec<Part>,
        /// Why.
        reason: MoveReason,
    },
}

impl Move {
    /// Why it is made.
    pub fn reason(&self) -> MoveReason {
        match self {
            Self::PlaceReplica { reason, .. }
            | Self::RemoveReplica { reason, .. }
            | Self::MoveReplica { reason, .. } => *reason,
        }
    }

    /// The replica that it ends or moves; `None` for a new one.
    pub fn replica(&self) -> Option<ReplicaId> {
        match self {
            Self::PlaceReplica { .. } => None,
            Self::RemoveReplica { fence, .. } | Self::MoveReplica { fence, .. } => Some(fence.replica),
        }
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlaceReplica { model, version, parts, .. } => {
                write!(f, "place {model} version {version} on ")?;
                write_nodes(f, parts)?;
            }
            Self::RemoveReplica { fence, .. } => write!(f, "remove {}", fence.replica)?,
            Self::MoveReplica { fence, parts, .. } => {
                write!(f, "move {} to ", fence.replica)?;
                write_nodes(f, parts)?;
            }
        }
        write!(f, ": {}", self.reason())
    }
}

fn write_nodes(f: &mut fmt::Formatter<'_>, parts: &[Part]) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{}", part.node)?;
    }
    Ok(())
}

/// Why a move is made, for the operator who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveReason {
    /// The model has fewer replicas than it is to keep.
    BelowTarget {
        /// How many it is to keep.
        target: u32,
    },
    /// The model has more replicas than it is to keep.
    AboveTarget {
        /// How many it is to keep.
        target: u32,
    },
    /// A node that ran part of it is lost.
    NodeLost {
        /// The lost node.
        node: NodeId,
    },
    /// A node that ran part of it reported that it cannot.
    ReplicaFailed {
        /// The node that reported.
        node: NodeId,
    },
    /// The boards of a node are to be relieved: they drain, or are in quarantine.
    BoardsDrain {
        /// The node.
        node: NodeId,
    },
}

impl fmt::Display for MoveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowTarget { target } => write!(f, "fewer replicas than the {target} to keep"),
            Self::AboveTarget { target } => write!(f, "more replicas than the {target} to keep"),
            Self::NodeLost { node } => write!(f, "{node} is lost"),
            Self::ReplicaFailed { node } => write!(f, "it failed on {node}"),
            Self::BoardsDrain { node } => write!(f, "the boards of {node} are to be relieved"),
        }
    }
}
