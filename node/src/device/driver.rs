//! A board as the library or the files of its driver show it, inside the process that reads devices.
//!
//! Every call here may block for as long as the driver is in trouble: that is why the process exists.

use std::sync::Arc;
use std::time::Duration;

use helixflow_model::{BoardInfo, BoardReading, FaultEvent, MegaHertz, MilliWatts, Sensed};
use serde::{Deserialize, Serialize};

/// Something that is opened by calls which may fail or never return: a driver, or one of its boards. What fails is tried
/// again.
pub(super) struct Place<T> {
    /// What people know it by: `NVIDIA GPU 3`.
    pub(super) name: String,
    /// Opens it; an error goes on from the name: `does not answer: ...`.
    pub(super) open: Box<dyn FnMut() -> Result<T, String> + Send>,
}

/// Where a driver may have boards, each of which is opened for itself.
#[derive(Default)]
pub(super) struct Shown {
    /// The places.
    pub(super) places: Vec<Place<Box<dyn Driver>>>,
    /// Why there is no such driver, where there is none: nothing is wrong.
    pub(super) note: Option<String>,
}

/// Where the faults of one board go, from whichever thread.
pub(super) type Tell = Arc<dyn Fn(FaultEvent) + Send + Sync>;

/// One board.
pub(super) trait Driver: Send {
    /// What it is.
    fn info(&self) -> &BoardInfo;

    /// Sees to it that each fault is told as it comes, where the driver tells any. It is called before anything else and
    /// before each reading: what the driver refuses now it may grant later.
    fn watch(&mut self, _tell: &Tell) {}

    /// What its sensors say, without the faults. A board that is gone says `Missing` of each.
    fn read(&mut self) -> BoardReading;

    /// Whether settings would be allowed, as far as that can be told while everything stays as it is.
    fn may_set(&mut self) -> Result<(), Refusal>;

    /// Holds the clock of the compute units at or below this one.
    fn lock_clock(&mut self, most: MegaHertz) -> Result<(), Refusal>;

    /// Lets it run freely.
    fn free_clock(&mut self) -> Result<(), Refusal>;

    /// The power limit that is set now.
    fn power_limit(&mut self) -> Result<MilliWatts, Refusal>;

    /// Sets it.
    fn set_power_limit(&mut self, limit: MilliWatts) -> Result<(), Refusal>;
}

/// Why a setting was not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Refusal {
    /// This process may not.
    #[error("{0}")]
    NotPermitted(String),
    /// This board has no such setting.
    #[error("{0}")]
    Unsupported(String),
    /// The driver could not, this time.
    #[error("{0}")]
    Failed(String),
}

/// Waits on a thread of the reader, where there is no runtime.
#[expect(clippy::disallowed_methods, reason = "the reader is a process of its own, which no simulation runs")]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Two quantities that make one: what either lacks, both lack.
pub(super) fn both<A, B>(one: Sensed<A>, other: Sensed<B>) -> Sensed<(A, B)> {
    match (one, other) {
        (Sensed::Missing, _) | (_, Sensed::Missing) => Sensed::Missing,
        (Sensed::Live(one), Sensed::Live(other)) => Sensed::Live((one, other)),
        _ => Sensed::Unsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_missing_as_soon_as_one_half_is() {
        assert_eq!(both(Sensed::Live(1), Sensed::Live(2)), Sensed::Live((1, 2)));
        assert_eq!(both(Sensed::<u8>::Unsupported, Sensed::Live(2)), Sensed::Unsupported);
        assert_eq!(both(Sensed::<u8>::Unsupported, Sensed::<u8>::Missing), Sensed::Missing);
    }
}
