//! The boards of this machine: GPUs where there are any, else simulated ones.
//!
//! ```text
//! gpus      the GPUs as actors have them: read, clocks set     clock, journal   what was set, written before it is
//! process   starts, asks and replaces the process that reads   protocol         what the two say
//! reader    that process: a thread a board                     nvml, amdgpu     the drivers
//! simulated a physical model, heated by the CPU's work        seats, traits    where replicas run, what boards can do
//! ```

mod amdgpu;
mod boards;
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

use helixflow_env::Disk;
use helixflow_model::Bytes;

pub(crate) use boards::Boards;
pub(crate) use seats::{Seat, Seats};
pub use simulated::Simulated;
pub(crate) use simulated::router as simulated_router;
pub(crate) use traits::traits;

pub use gpus::{Gpus, StillSet};
pub use journal::JournalError;
pub use process::{Patience, Program};
pub use reader::{ReaderError, Sources, read_devices};

/// The machine's memory.
pub(crate) fn machine_memory() -> Bytes {
    simulated::memory().total
}

/// On how many boards the node with this data folder has set something.
pub(crate) fn boards_set(disk: Arc<dyn Disk>, folder: &Path) -> Result<usize, JournalError> {
    Ok(journal::Journal::open(disk, folder)?.boards().len())
}
