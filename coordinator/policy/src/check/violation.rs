//! What can be wrong with a replicated state, and with whom.

use helixflow_model::{Bytes, CoordinatorId, Epoch, KeyId, NodeId, Region, ReplicaId, SessionId, TenantId};

use crate::state::ModelKey;

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The state as a whole.
    #[error("the cluster's state: {0}")]
    Whole(Wrong),
    /// A coordinator.
    #[error("{0}: {1}")]
    Coordinator(CoordinatorId, Wrong),
    /// A node.
    #[error("{0}: {1}")]
    Node(NodeId, Wrong),
    /// A model that stands under another's key.
    #[error("{0} stands under a key that is not its own")]
    Model(ModelKey),
    /// A replica.
    #[error("{0}: {1}")]
    Replica(ReplicaId, Wrong),
    /// A tenant.
    #[error("{0}: {1}")]
    Tenant(TenantId, Wrong),
    /// An API key.
    #[error("{0}: {1}")]
    Key(KeyId, Wrong),
    /// A region.
    #[error("{0}: {1}")]
    Region(Region, Wrong),
    /// A session.
    #[error("{0}: {1}")]
    Session(SessionId, Wrong),
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// More than the state may hold.
    #[error("{held} of something are held, of which at most {limit} may be")]
    AboveBound {
        /// How many there are.
        held: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Something is held before the cluster's life began.
    #[error("it holds members or models before the bootstrap")]
    NotBootstrapped,
    /// An epoch above the index applied last, or events in the wrong order.
    #[error("it speaks of {epoch}, which is not applied yet or before what it follows")]
    FromTheFuture {
        /// The epoch.
        epoch: Epoch,
    },
    /// An id that was never allotted.
    #[error("its id was never allotted: the last one was {last}")]
    NeverAllotted {
        /// The last number allotted.
        last: u64,
    },
    /// An observer that nobody knows.
    #[error("it is an observer, but is not registered")]
    NotRegistered,
    /// Two nodes with one uuid.
    #[error("its uuid is also that of {other}")]
    UuidTwice {
        /// The other node.
        other: NodeId,
    },
    /// Replicas take more memory than the node has.
    #[error("{committed} are committed of {capacity}")]
    OverCommitted {
        /// What replicas take.
        committed: Bytes,
        /// What there is.
        capacity: Bytes,
    },
    /// The model is not served.
    #[error("its model, {model}, is not served")]
    UnknownModel {
        /// The model.
        model: ModelKey,
    },
    /// A part runs on a node that is no member.
    #[error("{node}, which is no member, runs a part of it")]
    UnknownNode {
        /// The node.
        node: NodeId,
    },
    /// A node runs two parts.
    #[error("{node} runs two parts of it")]
    NodeTwice {
        /// The node.
        node: NodeId,
    },
    /// A part runs where the model cannot.
    #[error("no board of {node} is what its model asks for")]
    BoardsDoNotSuit {
        /// The node.
        node: NodeId,
    },
    /// Generations begin at 1.
    #[error("it has no generation")]
    NoGeneration,
    /// A layer is not held exactly once.
    #[error("layer {layer} is held {times} times instead of once")]
    LayerHeld {
        /// The first such layer.
        layer: u32,
        /// By how many parts.
        times: usize,
    },
    /// A part holds layers that the model does not have, or none.
    #[error("the part on {node} holds no layers, or some that the model does not have")]
    StrayPart {
        /// The node.
        node: NodeId,
    },
    /// The parts are not in the order of layers.
    #[error("its parts are not in the order of layers")]
    PartsOutOfOrder,
    /// A tenant's name is longer than it may be.
    #[error("its display name has {bytes} bytes")]
    LongName {
        /// How many.
        bytes: usize,
    },
    /// A key of nobody.
    #[error("its tenant, {tenant}, does not exist")]
    UnknownTenant {
        /// The tenant.
        tenant: TenantId,
    },
    /// Two keys with one secret.
    #[error("its secret is also that of {other}")]
    SecretTwice {
        /// The other key.
        other: KeyId,
    },
    /// A session was used when the state's clock had not come so far.
    #[error("its last use is later than the state's clock")]
    UsedLater,
}
