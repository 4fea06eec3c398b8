//! What a node tells the coordinators several times a second. Soft state: never written to the log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Band, BoardId, BoardInfo, BoardReading, ClockControl, Duty, Epoch, Fence, MegaHertz, MilliCelsius,
    ModelId, NodeId, NumericsClass, Permille, Region, ReplicaPhase,
};

/// One board: what it is, what its sensors say, what its node makes of that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardReport {
    /// What it is.
    pub info: BoardInfo,
    /// What its sensors said last.
    pub reading: BoardReading,
    /// How old that was when the report was made; the report's own age comes on top.
    pub age: Duration,
    /// What its node makes of it.
    pub standing: BoardStanding,
}

/// What a node makes of a board's readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardStanding {
    /// How hot it is.
    pub band: Band,
    /// What it may be asked to do.
    pub duty: Duty,
    /// Who decides on its clock.
    pub control: ClockControl,
    /// The clock that the governor asks for; none where it asks for the highest.
    pub target_clock: Option<MegaHertz>,
    /// The temperature of the die that is expected some seconds ahead, at the clock asked for.
    pub forecast: Option<MilliCelsius>,
    /// Degrees from the forecast to where heat costs speed; negative beyond. None where no limit is known.
    pub headroom: Option<MilliCelsius>,
    /// The speed that it is expected to hold over the next seconds, of that at the highest clock.
    pub speed: Permille,
    /// How much its word counts: less while its readings are late.
    pub weight: Permille,
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
    /// Tokens generated a second while it works, in thousandths, smoothed; one that does nothing keeps its last figure.
    pub millitokens_per_second: u64,
    /// Requests that wait and sequences in the batch, in thousandths, smoothed.
    pub busy_milli: u32,
    /// The most sequences that the batch holds; 0 where a node does not tell.
    pub sequences: u32,
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
    /// The boards that it runs on.
    pub boards: Vec<BoardId>,
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
    /// How long ago it was made: durations summed over the hops so far.
    pub age: Duration,
    /// Its boards.
    pub boards: Vec<BoardReport>,
    /// Its replicas.
    pub replicas: Vec<ReplicaReport>,
}
