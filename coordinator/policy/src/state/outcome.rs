//! What came of a command: an answer for the proposer. A session keeps that of its last write, to give it again.
//!
//! The variants' order is part of the state's format: new ones go at the end.

use helixflow_model::{
    Bytes, ClusterId, CoordinatorId, Epoch, Fence, KeyId, NodeId, Region, Sequence, SessionId, TenantId,
};
use serde::{Deserialize, Serialize};

use super::ModelKey;

/// What applying a command gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The state changed as asked.
    Applied,
    /// The state was already as asked.
    Unchanged,
    /// The node is a member under this id.
    Joined {
        /// Its id, the same at every join of the same uuid.
        node: NodeId,
    },
    /// Nothing changed.
    Refused {
        /// Why.
        reason: Refusal,
    },
    /// The tenant is as asked.
    Put {
        /// Its revision from now on.
        revision: Epoch,
    },
    /// A session is open.
    Opened {
        /// Its id.
        session: SessionId,
    },
}

impl Outcome {
    /// Whether the write's session was not there: an earlier attempt may have been applied before it went.
    pub fn is_of_an_expired_session(&self) -> bool {
        matches!(self, Self::Refused { reason: Refusal::SessionExpired { .. } })
    }
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No cluster yet.
    #[error("the cluster is not bootstrapped: bootstrap it first")]
    NotBootstrapped,
    /// A cluster is here already.
    #[error("this is cluster {cluster}, bootstrapped before: join it, or use an empty data directory")]
    AlreadyBootstrapped {
        /// The one that is here.
        cluster: ClusterId,
    },
    /// The index was applied before.
    #[error("log index {index} is not above {applied}, which is applied already")]
    IndexNotNewer {
        /// The index offered.
        index: u64,
        /// The one applied last.
        applied: Epoch,
    },
    /// A bound of the state is reached.
    #[error("the cluster holds at most {limit} {what}: remove some first")]
    TooMany {
        /// Of what.
        what: Bounded,
        /// The bound.
        limit: u64,
    },
    /// A field cannot be used.
    #[error("the {field} cannot be used: give {}", field.wanted())]
    InvalidField {
        /// Which.
        field: Field,
    },
    /// No such node.
    #[error("{node} is not a member: let it join first")]
    UnknownNode {
        /// The node named.
        node: NodeId,
    },
    /// No such model.
    #[error("{model} is not served: add it first")]
    UnknownModel {
        /// The model named.
        model: ModelKey,
    },
    /// The model is served under another spec.
    #[error("{model} is served already under another description: give the new weights a new version")]
    ModelDiffers {
        /// The model named.
        model: ModelKey,
    },
    /// The node's health changed since the judge looked.
    #[error("the health of {node} changed at {since}: judge again")]
    HealthChanged {
        /// The node.
        node: NodeId,
        /// When it changed.
        since: Epoch,
    },
    /// The state changed since the planner looked.
    #[error("the plan is based on {based_on}, but the state changed at {changed}: plan again")]
    PlanStale {
        /// What the planner saw.
        based_on: Epoch,
        /// The last change.
        changed: Epoch,
    },
    /// The replica is not there at this generation.
    #[error("{} {} is not there: plan again", fence.replica, fence.generation)]
    ReplicaChanged {
        /// Replica and generation named.
        fence: Fence,
    },
    /// A part would run on a lost node.
    #[error("{node} is lost: place the replica elsewhere")]
    NodeLost {
        /// The node.
        node: NodeId,
    },
    /// Two parts of one replica would run on one node.
    #[error("{node} would run two parts of one replica: give it one contiguous range")]
    NodeTwice {
        /// The node.
        node: NodeId,
    },
    /// The parts do not hold every layer exactly once, in order.
    #[error("parts must follow each other from layer 0 to {layers}; at {expected} they do not: plan again")]
    LayersNotCovered {
        /// Layers of the model.
        layers: u32,
        /// The first layer that no part begins with, or goes on to.
        expected: u32,
    },
    /// A node has too little memory left.
    #[error("{node} has {free} free of the {needed} needed: place the replica elsewhere")]
    NotEnoughMemory {
        /// The node.
        node: NodeId,
        /// What is free.
        free: Bytes,
        /// What the part takes.
        needed: Bytes,
    },
    /// The tenant is not at the revision that the writer saw.
    #[error("{tenant} is at revision {}, not at {}: read it again", found.0, expected.0)]
    RevisionDiffers {
        /// The tenant.
        tenant: TenantId,
        /// What the writer saw; 0 for none.
        expected: Epoch,
        /// What is there; 0 for none.
        found: Epoch,
    },
    /// No such tenant.
    #[error("{tenant} is no tenant: put it first")]
    UnknownTenant {
        /// The tenant named.
        tenant: TenantId,
    },
    /// Two keys would have one secret.
    #[error("{key} has the same secret: draw another one")]
    SecretTwice {
        /// The key that has it.
        key: KeyId,
    },
    /// Nobody stands in the region.
    #[error("no coordinator and no node stands in {region}: check its name")]
    UnknownRegion {
        /// The region named.
        region: Region,
    },
    /// The region's health changed since the judge looked.
    #[error("the health of {region} changed at {since}: judge again")]
    RegionHealthChanged {
        /// The region.
        region: Region,
        /// When it changed.
        since: Epoch,
    },
    /// The id belonged to another coordinator before.
    #[error(
        "{id} is no member and was one before, or comes too low: ids are never given twice; give the new coordinator id = {} and an empty data_dir", next.0
    )]
    IdUsed {
        /// The id asked for.
        id: CoordinatorId,
        /// The lowest one that is free.
        next: CoordinatorId,
    },
    /// The session is not open: whether the write was applied before is not known any more.
    #[error("{session} is not open or has expired, so this attempt was not applied: open another session")]
    SessionExpired {
        /// The session named.
        session: SessionId,
    },
    /// The session has gone on to a later write.
    #[error(
        "write {write} is behind {newest}, the session's last one: number each write above the one before"
    )]
    SequencePassed {
        /// The number offered.
        write: Sequence,
        /// The session's highest.
        newest: Sequence,
    },
    /// None of the node's boards is what the model asks for.
    #[error("no board of {node} is what the model asks for: place the replica elsewhere")]
    BoardsDoNotSuit {
        /// The node.
        node: NodeId,
    },
}

/// What the state bounds the number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bounded {
    /// Coordinators.
    Coordinators,
    /// Nodes.
    Nodes,
    /// Models, each version counted.
    Models,
    /// Replicas.
    Replicas,
    /// Parts of one replica.
    Parts,
    /// Moves in one plan.
    Moves,
    /// Generations of one replica.
    Generations,
    /// Tenants.
    Tenants,
    /// API keys.
    Keys,
    /// Regions that were judged.
    Regions,
    /// Sessions of writers.
    Sessions,
    /// Nodes in one record of bands and duties.
    HeatChanges,
}

impl std::fmt::Display for Bounded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Coordinators => "coordinators",
            Self::Nodes => "nodes",
            Self::Models => "models",
            Self::Replicas => "replicas",
            Self::Parts => "parts of one replica",
            Self::Moves => "moves in one plan",
            Self::Generations => "generations of one replica",
            Self::Tenants => "tenants",
            Self::Keys => "keys",
            Self::Regions => "regions",
            Self::Sessions => "sessions",
            Self::HeatChanges => "nodes in one record of their heat",
        })
    }
}

/// A field of a command that has a form or a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Field {
    /// An address.
    Address,
    /// A model's version.
    Version,
    /// A model's number of layers.
    Layers,
    /// A model's longest sequence.
    Context,
    /// A model's hash.
    Sha256,
    /// A model's sources.
    Sources,
    /// A model's number of replicas.
    ReplicaCount,
    /// A tenant's name for people.
    DisplayName,
    /// The regions that the leader should stand in.
    LeaderRegions,
    /// The kinds of a node's boards.
    Boards,
    /// What a model asks of boards.
    Requirements,
}

impl Field {
    /// What would be accepted.
    fn wanted(self) -> &'static str {
        match self {
            Self::Address => "host:port of at most 259 bytes",
            Self::Version => "1 to 128 bytes",
            Self::Layers => "1 to 1024",
            Self::Context => "at least 1",
            Self::Sha256 => "64 lower-case hexadecimal digits",
            Self::Sources => "at most 16, none with a text longer than 4096 bytes",
            Self::ReplicaCount => "at most 4096, one for each node",
            Self::DisplayName => "at most 256 bytes",
            Self::LeaderRegions => "at most 16 regions, each once",
            Self::Boards => "at most 16 kinds of at most 32 features",
            Self::Requirements => "at most 32 features",
        }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::Version => "version",
            Self::Layers => "number of layers",
            Self::Context => "context",
            Self::Sha256 => "SHA-256",
            Self::Sources => "list of sources",
            Self::ReplicaCount => "number of replicas",
            Self::DisplayName => "display name",
            Self::LeaderRegions => "order of the leader's regions",
            Self::Boards => "list of boards",
            Self::Requirements => "list of requirements",
        })
    }
}
