//! The boards of this machine: NVIDIA GPUs through NVML where there are any, else simulated ones.

mod nvml;
mod seats;
mod simulated;

use std::sync::Arc;

use helixflow_actors::Board;
use helixflow_model::Bytes;

pub(crate) use seats::{Seat, Seats};
pub use simulated::Simulated;
use simulated::SimulatedBoard;
pub(crate) use simulated::router as simulated_router;

/// The boards of a machine, all of one kind.
pub(crate) enum Boards {
    /// GPUs.
    Real(Vec<Arc<dyn Board>>),
    /// Work is done on the CPU.
    Simulated(Vec<Arc<SimulatedBoard>>),
}

impl Boards {
    /// As the configuration says.
    fn simulated(config: &Simulated) -> Self {
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

/// Finds the boards. A machine whose driver is missing or broken counts as one without GPUs: work is done on its CPU.
pub(crate) fn boards(simulated: &Simulated) -> Boards {
    match nvml::boards() {
        Ok(boards) if !boards.is_empty() => Boards::Real(boards),
        Ok(_) => {
            tracing::info!(?simulated, "the NVIDIA driver knows no GPU: boards are simulated");
            Boards::simulated(simulated)
        }
        Err(error) => {
            tracing::info!(%error, ?simulated, "no NVIDIA driver answers: boards are simulated");
            Boards::simulated(simulated)
        }
    }
}

/// The machine's memory.
pub(crate) fn machine_memory() -> Bytes {
    simulated::memory().total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_board_of_this_machine_is_read() {
        let boards = boards(&Simulated::default()).all();
        assert!(!boards.is_empty(), "a machine without a GPU has a simulated board");
        for board in boards {
            let reading = board.read().await.expect("a board that answers");
            let temperature = reading.core.live().expect("a temperature");
            assert!((1_000..120_000).contains(&temperature.0), "{reading:?}");
            for device in &reading.devices {
                assert!(
                    device.memory_total.0 > 1 << 20 && device.memory_used <= device.memory_total,
                    "{device:?}"
                );
            }
            println!("{:?} {reading:?}", board.info());
        }
    }
}
