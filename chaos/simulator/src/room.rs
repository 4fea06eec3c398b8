//! The air of a machine room: what reaches each board's heat sink, and how fast the fans in front of it turn.
//!
//! Boards are numbered server by server, and servers row by row, so that each row has the same share of the fleet. The
//! back boards of a server breathe what the front ones have warmed: by more when these draw more.

use helixflow_physics::Surroundings;

use crate::Scenario;
use crate::random::{Stream, normal};

/// Boards of a server: four in front and four behind them, as in the eight-board servers of the field.
pub(crate) const BOARDS_A_SERVER: usize = 8;
/// How many of them stand in front.
const IN_FRONT: usize = 4;

/// The air in a fleet of some size.
#[derive(Clone, Debug)]
pub(crate) struct Room<'a> {
    scenario: &'a Scenario,
    /// What is particular to each board's place, K.
    own: Vec<f64>,
    /// Inlet temperature by row, and fans, at the hour of the last [`Room::pass`].
    rows: Vec<Surroundings>,
}

impl<'a> Room<'a> {
    pub(crate) fn new(scenario: &'a Scenario, boards: usize, seed: u64) -> Self {
        let own = (0..boards).map(|board| scenario.inlet.spread * normal(seed, Stream::Inlets, board as u64));
        Self { scenario, own: own.collect(), rows: Vec::new() }
    }

    /// Goes to an hour of the day.
    pub(crate) fn pass(&mut self, hour: f64) {
        let base = self.scenario.inlet.celsius.at(hour);
        self.rows.clear();
        for row in 0..self.scenario.rows {
            let warmer = self.scenario.warmer.iter().filter(|place| place.rows.contains(&row));
            let inlet = base + warmer.map(|place| place.celsius.at(hour)).sum::<f64>();
            let failed = self.scenario.fans.iter().filter(|fans| fans.rows.contains(&row));
            let failed = failed.filter(|fans| (fans.from..fans.to).contains(&hour));
            let fans = failed.map(|fans| fans.speed).fold(1.0, f64::min);
            self.rows.push(Surroundings { inlet, fans });
        }
    }

    /// The air of a board; `front` is the power that the board in front of it draws, as a share of its limit.
    pub(crate) fn around(&self, board: usize, front: f64) -> Surroundings {
        let of_row = self.rows.get(self.row(board)).copied().unwrap_or_default();
        let own = self.own.get(board).copied().unwrap_or_default();
        Surroundings { inlet: of_row.inlet + own + self.scenario.inlet.behind * front, ..of_row }
    }

    /// The air of a board while the one in front of it draws all that it may.
    pub(crate) fn at_work(&self, board: usize) -> Surroundings {
        self.around(board, in_front_of(board).map_or(0.0, |_| 1.0))
    }

    pub(crate) fn boards(&self) -> usize {
        self.own.len()
    }

    fn row(&self, board: usize) -> usize {
        let servers = self.own.len().div_ceil(BOARDS_A_SERVER).max(1);
        board / BOARDS_A_SERVER * self.scenario.rows / servers
    }
}

/// The board that a board's air comes through first; none for one that stands in front.
pub(crate) fn in_front_of(board: usize) -> Option<usize> {
    (board % BOARDS_A_SERVER >= IN_FRONT).then(|| board - IN_FRONT)
}
