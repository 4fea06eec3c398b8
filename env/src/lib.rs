//! The world outside: wall clock, randomness, network and disk, each real or simulated.
//!
//! tokio's timers and spawning are one half of the seam that lets a simulation replay a run; this crate is the other.
//! Outside it, clippy bans the clocks, threads, sockets and files of the standard library and of tokio.

mod clock;
pub mod disk;
pub mod limits;
pub mod net;
mod random;
pub mod runtime;

use std::sync::Arc;

pub use clock::{ManualClock, SystemClock, WallClock};
pub use disk::Disk;
pub use net::Network;
pub use random::{OsRandom, Randomness, SeededRandom};

/// Everything that a process takes from outside. Cloned freely: all clones share one world.
#[derive(Clone, Debug)]
pub struct Env {
    /// Calendar time, for people and templates; never for timeouts or ages.
    pub wall_clock: Arc<dyn WallClock>,
    /// Ids, seeds, jitter.
    pub random: Arc<dyn Randomness>,
    /// Listeners and connections.
    pub network: Arc<dyn Network>,
    /// Small files that must survive a crash.
    pub disk: Arc<dyn Disk>,
}

impl Env {
    /// The machine as it is.
    pub fn real() -> Self {
        Self {
            wall_clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
            network: Arc::new(net::Tcp),
            disk: Arc::new(disk::RealDisk),
        }
    }

    /// A world in memory: the same seed draws the same numbers, and the calendar moves only when told.
    ///
    /// Its network joins whoever holds a clone of this `Env`.
    pub fn simulated(seed: u64) -> Self {
        Self {
            wall_clock: Arc::new(ManualClock::default()),
            random: Arc::new(SeededRandom::new(seed)),
            network: Arc::new(net::MemoryNetwork::default()),
            disk: Arc::new(disk::MemoryDisk::default()),
        }
    }
}
