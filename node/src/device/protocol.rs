//! What a node and its process that reads devices say to each other: one JSON object a line.
//!
//! Both are the same build, so there are no versions. The reader tells what it has found, whole, each time that there is
//! more of it; each request has one answer, in whatever order the boards give them. Faults are told as they come, for what
//! explains a hang must not wait behind the call that hangs.

use helixflow_model::{BoardId, BoardInfo, BoardReading, FaultEvent, MegaHertz, MilliWatts};
use serde::{Deserialize, Serialize};

use super::driver::Refusal;

/// The longest line, in bytes: a reading takes about two thousand, and the rest is room for many boards.
pub(super) const MOST_LINE: usize = 1 << 20;

/// A request to the reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    /// Comes back with the answer.
    pub(super) number: u64,
    /// Which board.
    pub(super) board: BoardId,
    /// What it is asked.
    pub(super) ask: Ask,
}

/// What a board can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ask {
    /// Its sensors.
    Read,
    /// Whether settings would be allowed.
    MaySet,
    /// To hold its clock at or below this one.
    LockClock(MegaHertz),
    /// To let it run freely.
    FreeClock,
    /// Its power limit.
    PowerLimit,
    /// Another power limit.
    SetPowerLimit(MilliWatts),
}

/// A line from the reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Line {
    /// What there is by now: all of it, each time that it changes, so that no line has to be put together with others.
    Found(Inventory),
    /// The answer to the request of this number.
    Answer(u64, Answer),
    /// The request of this number was not made, for this reason: no driver has said anything.
    NotAsked(u64, String),
    /// What a driver has told of a board, once each; readings bear none.
    Fault(BoardId, FaultEvent),
}

/// The boards of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inventory {
    /// Those that answer.
    pub(super) boards: Vec<BoardInfo>,
    /// Drivers that are not there: nothing is wrong.
    pub(super) notes: Vec<String>,
    /// Drivers or boards that are there and do not answer.
    pub(super) trouble: Vec<String>,
    /// Drivers or boards whose first calls have not come back yet.
    pub(super) opening: Vec<String>,
}

/// What a board says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// What its sensors say.
    Reading(Box<BoardReading>),
    /// Its power limit.
    Power(MilliWatts),
    /// It is done.
    Done,
    /// It is not done.
    Refused(Refusal),
}
