//! How soon to read again: ten times a second where something may happen, once a second where nothing does.
//!
//! That a board begins to work shows in its next reading. Whoever knows sooner, since requests come to it, may read it before
//! that, but no sooner than a board that works.

use std::time::Duration;

use helixflow_model::{Band, BoardReading, BoardStanding, Duty, MilliCelsius};

/// Where the board works, is warm or changes.
pub const FAST: Duration = Duration::from_millis(100);

/// Where it is cool and idle: then a reading costs more CPU than it is worth.
const SLOW: Duration = Duration::from_secs(1);

/// Utilisation from which a board is busy, permille.
const BUSY: u16 = 10;

/// A change of the die's temperature between two readings from which it counts as changing: more than the flicker of a
/// whole-degree sensor.
const CHANGES: MilliCelsius = MilliCelsius(1_500);

/// The fast pace is kept so long after its last reason: work comes in bursts.
const LINGER: Duration = Duration::from_secs(5);

/// When there was last a reason to read fast.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    core: Option<MilliCelsius>,
    stirred: Option<Duration>,
}

impl Pace {
    /// How long to wait after this reading.
    pub(super) fn take(
        &mut self,
        reading: &BoardReading,
        working: bool,
        standing: &BoardStanding,
        now: Duration,
    ) -> Duration {
        let core = reading.core.read();
        let changes = self.core.zip(core).is_some_and(|(a, b)| a.0.abs_diff(b.0) >= CHANGES.0.unsigned_abs());
        self.core = core;
        let busy = reading.utilization.live().map_or(working, |busy| busy.0 >= BUSY);
        let unsettled = standing.band > Band::Cool
            || standing.target_clock.is_some()
            || standing.weight.0 < 1000
            || standing.duty == Duty::Probation;
        if busy || changes || unsettled {
            self.stirred = Some(now);
        }
        let stirs = self.stirred.is_some_and(|at| now.saturating_sub(at) < LINGER);
        if stirs { FAST } else { SLOW }
    }
}
