//! The boards of this machine: GPUs where there are any, else simulated ones.
//!
//! ```text
//! gpus      the GPUs as actors have them: read, clocks set     clock, journal   what was set, written before it is
//! process   starts, asks and replaces the process that reads   protocol         what the two say
//! reader    that process: a thread a board                     nvml, amdgpu     the drivers
//! simulated a physical model, heated by the CPU's work        seats, traits    where replicas run, what boards can do
//! ```

mod amdgpu;
mod clock;
mod driver;
mod gpus;
mod journal;
mod nvml;
mod process;
mod protocol;
mod reader;
mod seats;
mod simulated;
mod traits;

use std::path::Path;
use std::sync::Arc;

use helixflow_actors::Board;
use helixflow_env::Disk;
use helixflow_model::Bytes;

pub(crate) use seats::{Seat, Seats};
pub use simulated::Simulated;
use simulated::SimulatedBoard;
pub(crate) use simulated::router as simulated_router;
pub(crate) use traits::traits;

pub use gpus::{Gpus, StillSet};
pub use journal::JournalError;
pub use process::{Patience, Program};
pub use reader::{ReaderError, Sources, read_devices};

/// The boards of a machine, all of one kind.
pub(crate) enum Boards {
    /// GPUs.
    Real(Vec<Arc<dyn Board>>),
    /// Work is done on the CPU.
    Simulated(Vec<Arc<SimulatedBoard>>),
}

impl Boards {
    /// The GPUs where there are any, else what the configuration says.
    pub(crate) fn of(gpus: Option<&Gpus>, simulated: &Simulated) -> Self {
        let real = gpus.map(Gpus::boards).unwrap_or_default();
        if !real.is_empty() {
            return Self::Real(real);
        }
        tracing::info!(?simulated, "no GPU answers: boards are simulated");
        Self::Simulated(simulated::boards(simulated).unwrap_or_default())
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

/// The machine's memory.
pub(crate) fn machine_memory() -> Bytes {
    simulated::memory().total
}

/// On how many boards the node with this data folder has set something.
pub(crate) fn boards_set(disk: Arc<dyn Disk>, folder: &Path) -> Result<usize, JournalError> {
    Ok(journal::Journal::open(disk, folder)?.boards().len())
}
