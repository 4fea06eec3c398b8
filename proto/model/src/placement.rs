//! Which layers run where, and the fence that keeps an old order from being obeyed.

use serde::{Deserialize, Serialize};

use crate::{Epoch, Generation, ModelId, ReplicaId};

/// A contiguous range of a model's layers: `first` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LayerRange {
    /// The first layer.
    pub first: u32,
    /// One past the last layer.
    pub end: u32,
}

impl LayerRange {
    /// Number of layers.
    pub fn count(&self) -> u32 {
        self.end.saturating_sub(self.first)
    }
}

/// A replica at one generation. Nodes refuse work that names another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fence {
    /// Which replica.
    pub replica: ReplicaId,
    /// Which generation of it.
    pub generation: Generation,
}

/// What one node is to run, as the log says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaAssignment {
    /// Replica and generation.
    pub fence: Fence,
    /// The log index that said so.
    pub epoch: Epoch,
    /// The model.
    pub model: ModelId,
    /// Its version.
    pub version: String,
    /// The layers of it that this node runs.
    pub layers: LayerRange,
}

/// How far a node has come with an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplicaPhase {
    /// Accepted; weights are being fetched and checked.
    Fetching,
    /// Weights are being read into memory.
    Loading,
    /// It answers requests.
    Ready,
    /// It finishes what it has and takes nothing new.
    Draining,
    /// It cannot run; the report says why.
    Failed,
}
