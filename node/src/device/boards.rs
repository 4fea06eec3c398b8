//! The boards of a machine, as its actors, its replicas and its operator's door get them.

use std::sync::Arc;

use helixflow_actors::Board;

use super::seats::Seats;
use super::simulated::{self, Simulated, SimulatedBoard};

/// The boards of a machine, all of one kind.
pub(crate) enum Boards {
    /// GPUs.
    Real(Vec<Arc<dyn Board>>),
    /// Work is done on the CPU.
    Simulated(Vec<Arc<SimulatedBoard>>),
}

impl Boards {
    /// As the configuration says.
    pub(crate) fn simulated(config: &Simulated) -> Self {
        Self::Simulated(simulated::boards(config).unwrap_or_default())
    }

    /// As the actors read them.
    pub(crate) fn all(&self) -> Vec<Arc<dyn Board>> {
        match self {
            Self::Real(boards) => boards.clone(),
            Self::Simulated(boards) => {
                boards.iter().map(|board| Arc::clone(board) as Arc<dyn Board>).collect()
            }
        }
    }

    /// As replicas are given to them.
    pub(crate) fn seats(&self) -> Seats {
        match self {
            Self::Real(boards) => Seats::new(boards.iter().map(|board| (board.info().board.clone(), None))),
            Self::Simulated(boards) => {
                Seats::new(boards.iter().map(|board| (board.info().board.clone(), Some(Arc::clone(board)))))
            }
        }
    }

    /// Those whose surroundings can be changed.
    pub(crate) fn changeable(&self) -> Vec<Arc<SimulatedBoard>> {
        match self {
            Self::Real(_) => Vec::new(),
            Self::Simulated(boards) => boards.clone(),
        }
    }
}
