//! Boards: devices with heat, power and a clock, as the node's actors use them.
//!
//! ```text
//! actor     reads one board on time, lets control judge it, publishes what comes of that
//! clock     carries out the clocks that control asks for, and lets the board run free in the end, whatever happens
//! latest    the latest of every board, and what others read from it
//! progress  whether shards compute, which says more than a driver that does not answer
//! ```

mod actor;
mod clock;
mod latest;
mod progress;
#[cfg(test)]
mod tests;

use std::error::Error;

use futures::future::BoxFuture;
use helixflow_control::HeldBy;
use helixflow_model::{BoardInfo, BoardReading, MegaHertz};

pub(crate) use actor::{Alarm, BoardActor, BoardPlan};
pub(crate) use clock::{Clock, RELEASE_LIMIT, Releases};
pub(crate) use latest::Readings;
pub use latest::{Barred, BoardWatch};

/// Why a device could not be read.
pub type BoardError = Box<dyn Error + Send + Sync>;

/// Why a clock was not set.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// It never can be: readings alone are left.
    #[error("{why}; the board is only watched")]
    NotPermitted {
        /// Why, and who could change that.
        why: String,
    },
    /// It could not be this time.
    #[error("the clock was not set")]
    Failed(#[source] BoardError),
}

/// A device with heat, power and memory.
pub trait Board: Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> &BoardInfo;

    /// Reads it. Must not block the thread that polls; may never end, where a driver is in trouble: it is dropped at its
    /// deadline then, after which the board can be read again.
    fn read(&self) -> BoxFuture<'_, Result<BoardReading, BoardError>>;

    /// Asks that the compute units run at this clock at most; `None` undoes what this node has set, also in an earlier
    /// life, and what others have set stays. Tells by what they are held from now on. May never end either, and may be
    /// dropped at any await; of two calls the later one counts.
    fn limit_clock(&self, clock: Option<MegaHertz>) -> BoxFuture<'_, Result<HeldBy, ClockError>>;

    /// Forgets that the clock was held: somebody else has set it since, and nobody of this node may undo that later.
    fn leave_clock(&self);
}
