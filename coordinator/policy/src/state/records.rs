//! The records of the replicated state: members, models' keys, replicas and their parts.

use std::{collections::BTreeSet, fmt, str::FromStr};

use helixflow_model::{
    BoardTraits, Bytes, ClusterId, Epoch, FeatureLevel, Generation, Incarnation, LayerRange, ModelId,
    ModelSpec, NodeId, Region,
};
use serde::{Deserialize, Serialize};

use super::{HeatRecord, MoveReason};

/// Which cluster this is, and which life of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Drawn at the bootstrap.
    pub cluster: ClusterId,
    /// Raised by a restore or by a recovery from a lost majority.
    pub incarnation: Incarnation,
}

/// A coordinator's place and addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coordinator {
    /// Where it stands.
    pub region: Region,
    /// Where clients and nodes reach it, `host:port`.
    pub grpc: String,
    /// Where its peers reach it, `host:port`.
    pub raft: String,
    /// What its build can do.
    pub level: FeatureLevel,
}

/// Whether a coordinator is to vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Voting {
    /// It counts for the quorum, and may lead.
    Voter,
    /// It follows the log for ever and never votes: a far region then reads its own replica without slowing writes.
    Observer,
}

/// A GPU node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Drawn once by the node itself.
    pub uuid: NodeUuid,
    /// Where it stands.
    pub region: Region,
    /// Where gateways reach it, `host:port`.
    pub advertise: String,
    /// What it has to give.
    pub capacity: Capacity,
    /// The log index of its first join.
    pub joined: Epoch,
    /// Whether it counts as there.
    pub health: NodeHealth,
    /// The log index that said so.
    pub health_since: Epoch,
    /// The kinds of its boards; none of a node that did not tell.
    pub boards: BTreeSet<BoardTraits>,
    /// How warm they are, as far as placement goes by it.
    pub heat: HeatRecord,
}

/// What a node has to give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Number of boards.
    pub boards: u32,
    /// Memory for replicas, over all boards.
    pub memory: Bytes,
}

/// Whether a node counts as there. Leases are soft state; only their loss and return are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NodeHealth {
    /// It reports; replicas may be placed on it.
    Live,
    /// Its lease ran out; its replicas are placed elsewhere where there is room.
    Lost,
}

/// A node's own identity: 128 random bits, drawn at its first start and kept on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeUuid(pub u128);

/// A text that is no node uuid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a node uuid: use 32 hexadecimal digits, as the node's data directory holds them")]
pub struct InvalidNodeUuid(String);

impl fmt::Display for NodeUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for NodeUuid {
    type Err = InvalidNodeUuid;

    fn from_str(text: &str) -> Result<Self, InvalidNodeUuid> {
        let invalid = || InvalidNodeUuid(text.to_owned());
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let fits = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if !fits {
            return Err(invalid());
        }
        u128::from_str_radix(&digits, 16).map(Self).map_err(|_| invalid())
    }
}

/// A model at one version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModelKey {
    /// What clients call it.
    pub id: ModelId,
    /// Its version.
    pub version: String,
}

impl ModelKey {
    /// The key of a spec.
    pub fn of(spec: &ModelSpec) -> Self {
        Self { id: spec.id.clone(), version: spec.version.clone() }
    }
}

impl fmt::Display for ModelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {}", self.id, self.version)
    }
}

/// Some layers of a replica on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// The node.
    pub node: NodeId,
    /// Its layers.
    pub layers: LayerRange,
}

impl Part {
    /// The memory that this part takes of what the whole replica needs, rounded up.
    pub fn memory(&self, spec: &ModelSpec) -> Bytes {
        let layers = u128::from(spec.layers.max(1));
        let share = (u128::from(spec.memory.0) * u128::from(self.layers.count())).div_ceil(layers);
        Bytes(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

/// One replica: every layer of a model, on one node or split over several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Rises with every change of its parts.
    pub generation: Generation,
    /// The model.
    pub model: ModelKey,
    /// Which node runs which layers, in the order of layers; the first is the head, which clients' requests go to.
    pub parts: Vec<Part>,
    /// The log index that put it there.
    pub placed: Epoch,
    /// Why it was put there.
    pub reason: MoveReason,
}

impl Replica {
    /// The node that takes requests: the one with the first layers.
    pub fn head(&self) -> Option<NodeId> {
        self.parts.first().map(|part| part.node)
    }

    /// Whether any part runs on this node.
    pub fn runs_on(&self, node: NodeId) -> bool {
        self.parts.iter().any(|part| part.node == node)
    }

    /// The memory that each part takes, given its model's spec.
    pub fn memory<'a>(&'a self, spec: Option<&'a ModelSpec>) -> impl Iterator<Item = (NodeId, Bytes)> + 'a {
        let of = move |part: &Part| spec.map_or(Bytes(0), |spec| part.memory(spec));
        self.parts.iter().map(move |part| (part.node, of(part)))
    }
}
