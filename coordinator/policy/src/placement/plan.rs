//! What the planner sees and what it gives: data, for the reconcile loop to propose and to log.

use std::{collections::BTreeSet, fmt};

use helixflow_model::{Bytes, Epoch, Fence, NodeId, Requirements};

use super::Failure;
use crate::state::{Command, ModelKey, Move};

/// What the leader knows beyond the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The nodes heard of within their lease: [`Leases::live`](crate::failover::Leases::live).
    pub live: BTreeSet<NodeId>,
    /// Replicas that nodes reported as failed, the recent past included: [`FailureLog::recent`](super::FailureLog).
    pub failures: BTreeSet<Failure>,
    /// The parts of replicas that answer, by the word of their nodes.
    pub ready: BTreeSet<(Fence, NodeId)>,
}

/// What to do, and what cannot be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The epoch of the state that was planned on.
    pub based_on: Epoch,
    /// The moves, in order.
    pub moves: Vec<Move>,
    /// The models with fewer serving replicas than they are to keep, after these moves.
    pub shortfalls: Vec<Shortfall>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.moves.is_empty()
    }

    /// The command that makes the moves; `None` when there are none.
    pub fn into_command(self) -> Option<Command> {
        let Self { based_on, moves, .. } = self;
        (!moves.is_empty()).then_some(Command::ApplyPlan { based_on, moves })
    }
}

/// A model that has too few serving replicas, and why no more can be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// Which model.
    pub model: ModelKey,
    /// How many replicas it is to keep.
    pub wanted: u32,
    /// How many of them are missing, or stand on lost nodes, or failed.
    pub missing: u32,
    /// Why.
    pub why: Missing,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lacks {} of {} replicas: {}", self.model, self.missing, self.wanted, self.why)
    }
}

/// Why a replica could not be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// No node is there.
    #[error("no node is live: start one")]
    NoLiveNode,
    /// Each node has one already.
    #[error("each live node has one already: start more nodes, or keep fewer replicas")]
    NoFurtherNode,
    /// It failed on the nodes that are left.
    #[error("it failed on every other live node: read the nodes' reports")]
    FailedEverywhere,
    /// The nodes that are left have other boards.
    #[error("it asks for a board {asks}, and no other live node has one: add one, or ask for less")]
    NoSuchBoard {
        /// What it asks for.
        asks: Requirements,
    },
    /// The nodes that are left take no more shards.
    #[error("every other live node that would do is hot or drains: wait until one has cooled, or start more")]
    TooHot,
    /// The nodes that are left are too full.
    #[error("it needs {needed}, and no other live node has more than {free} free: start a larger node")]
    NotEnoughMemory {
        /// What one replica needs.
        needed: Bytes,
        /// The most that a candidate has free.
        free: Bytes,
    },
    /// The plan, or the cluster, is as large as it may be.
    #[error("a bound of the plan or of the cluster is reached: the rest comes with a later plan, if it fits")]
    Bound,
}
