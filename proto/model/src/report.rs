//! What a node tells the coordinators several times a second. Soft state: never written to the log.

use serde::{Deserialize, Serialize};

use crate::{
    Bytes, Epoch, Fence, MilliCelsius, MilliWatts, ModelId, NodeId, NumericsClass, Permille, Region,
    ReplicaPhase,
};

/// What stands behind a board's readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// An NVIDIA GPU, read through NVML.
    Nvidia,
    /// No GPU: constant temperature, work done on the CPU.
    Simulated,
}

/// One board: what has heat, power and memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardReport {
    /// Stable id of the board (NVML's UUID, or `simulated-0`).
    pub board: String,
    /// The product's name.
    pub name: String,
    /// What stands behind the readings.
    pub kind: DeviceKind,
    /// Temperature of the die.
    pub temperature: MilliCelsius,
    /// Power drawn, where it can be read.
    pub power: Option<MilliWatts>,
    /// Memory in all.
    pub memory_total: Bytes,
    /// Memory in use.
    pub memory_used: Bytes,
    /// Share of time busy, where it can be read.
    pub utilization: Option<Permille>,
}

/// How busy one replica is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Requests that wait for a place in the batch.
    pub queued: u32,
    /// Sequences in the batch.
    pub active: u32,
    /// KV pages free.
    pub kv_pages_free: u32,
    /// KV pages in all.
    pub kv_pages_total: u32,
    /// Prompt tokens still to be computed.
    pub prefill_backlog: u32,
    /// Tokens generated a second, in thousandths, smoothed.
    pub millitokens_per_second: u64,
}

/// What a node holds of one replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// Replica and generation.
    pub fence: Fence,
    /// The log index that said so.
    pub epoch: Epoch,
    /// The model.
    pub model: ModelId,
    /// Its version.
    pub version: String,
    /// How far it has come.
    pub phase: ReplicaPhase,
    /// Why it failed, or what it waits for; empty when all is well.
    pub detail: String,
    /// Replicas of one class give the same bits.
    pub numerics: NumericsClass,
    /// How busy it is.
    pub load: LoadReport,
}

/// Everything a node tells, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Who speaks.
    pub node: NodeId,
    /// Where it stands.
    pub region: Region,
    /// Where gateways reach it, `host:port`.
    pub advertise: String,
    /// Rises with every report of one process.
    pub sequence: u64,
    /// Its boards.
    pub boards: Vec<BoardReport>,
    /// Its replicas.
    pub replicas: Vec<ReplicaReport>,
}
