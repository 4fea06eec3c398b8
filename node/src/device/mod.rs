//! The boards of this machine: GPUs where there are any, else one simulated board.
//!
//! ```text
//! gpus      the GPUs as actors have them: read, clocks set     clock, journal   what was set, written before it is
//! process   starts, asks and replaces the process that reads   protocol         what the two say
//! reader    that process: a thread a board                     nvml, amdgpu     the drivers
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
mod simulated;

use std::path::Path;
use std::sync::Arc;

use helixflow_actors::Board;
use helixflow_env::Disk;
use helixflow_model::Bytes;

use simulated::SimulatedBoard;

pub use gpus::{Gpus, StillSet};
pub use journal::JournalError;
pub use process::{Patience, Program};
pub use reader::{ReaderError, Sources, read_devices};

/// The board of a machine without GPUs: work is done on its CPU.
pub(crate) fn simulated_board() -> Vec<Arc<dyn Board>> {
    SimulatedBoard::new().map_or_else(|_| Vec::new(), |board| vec![Arc::new(board) as Arc<dyn Board>])
}

/// The machine's memory.
pub(crate) fn machine_memory() -> Bytes {
    simulated::memory().total
}

/// On how many boards the node with this data folder has set something.
pub(crate) fn boards_set(disk: Arc<dyn Disk>, folder: &Path) -> Result<usize, JournalError> {
    Ok(journal::Journal::open(disk, folder)?.boards().len())
}
