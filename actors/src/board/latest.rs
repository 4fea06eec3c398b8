//! The latest of every board: each board's actor writes its own part, everybody else reads.

use std::collections::BTreeMap;
use std::fmt;

use helixflow_model::{BoardId, BoardInfo, BoardReading, BoardReport, BoardStanding, Duty};
use tokio::sync::watch;
use tokio::time::Instant;

/// The latest reading of each board, by its id.
pub(crate) type Readings = BTreeMap<BoardId, Taken>;

/// A reading, what is made of it, and when it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(super) info: BoardInfo,
    pub(super) reading: BoardReading,
    pub(super) standing: BoardStanding,
    /// When the reading was taken, or first asked for where there was none yet.
    pub(super) at: Instant,
    /// Whether the last attempt brought no reading: it came too late, or failed.
    pub(super) silent: bool,
}

impl Taken {
    /// As coordinators are told of it at `now`.
    pub(crate) fn report(&self, now: Instant) -> BoardReport {
        let Self { info, reading, standing, at, .. } = self.clone();
        BoardReport { info, reading, age: now.saturating_duration_since(at), standing }
    }
}

/// Whether this silent board's driver reads none of its boards. A driver's only board is all of them.
pub(super) fn driver_is_silent(readings: &Readings, silent: &BoardInfo) -> bool {
    let mut others =
        readings.values().filter(|other| other.info.kind == silent.kind && other.info.board != silent.board);
    others.all(|other| other.silent)
}

/// A board that takes no requests, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barred {
    /// The board.
    pub board: BoardId,
    standing: BoardStanding,
}

impl fmt::Display for Barred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { board, standing: BoardStanding { band, duty, .. } } = self;
        write!(f, "its board {board} takes no requests (band {band}, duty {duty})")
    }
}

/// How the boards of a node stand, always the latest.
#[derive(Clone, Debug)]
pub struct BoardWatch(pub(crate) watch::Receiver<Readings>);

impl BoardWatch {
    /// The first of these boards that takes no new requests; of all boards of the node where none is named.
    ///
    /// A board in quarantine gets nothing, whatever a gateway has heard of it. To spare a hot one, or to drain one, is
    /// another thing: where else the work can go is known to the coordinators alone, and they route and place it there.
    pub fn barred(&self, boards: &[BoardId]) -> Option<Barred> {
        let readings = self.0.borrow();
        let is_meant = |board: &BoardId| boards.is_empty() || boards.contains(board);
        let mut barred = readings
            .iter()
            .filter(|(board, taken)| is_meant(board) && taken.standing.duty == Duty::Quarantine);
        barred.next().map(|(board, taken)| Barred { board: board.clone(), standing: taken.standing })
    }
}
