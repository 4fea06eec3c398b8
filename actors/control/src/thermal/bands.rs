//! Bands with hysteresis: up at once, down one band at a time after a dwell that grows where they are climbed again.

use std::time::Duration;

use helixflow_model::{Band, ClockReasons};

use super::Thermal;
use crate::dwell::Dwell;

/// Degrees from where heat costs speed (see [`super::limit`]) at which a board counts as warm, and as hot. A governed
/// board is held three degrees under, so it is warm; one that the firmware holds at the limit is hot.
const WARM_AT: f64 = -10.0;
const HOT_AT: f64 = -1.0;

/// A band is left downwards only so many degrees under where it begins: more than a whole-degree sensor's flicker.
const HYSTERESIS: f64 = 2.0;

/// How long a board must have been fit for the next lower band before it gets there: longer than the die needs to show
/// what a change of its load did.
const DWELL: Duration = Duration::from_secs(15);

/// Where a band is climbed again within this time after it was left, the next dwell is twice as long.
const AGAIN_WITHIN: Duration = Duration::from_secs(900);

/// The most doublings: the longest dwell is 15 s · 2⁵ = 8 min.
const DOUBLINGS: u32 = 5;

/// The band of one board.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bands {
    band: Band,
    /// How long the board has been fit for the next lower band.
    fit: Dwell,
    /// When a band was last left downwards.
    left: Option<Duration>,
    /// Climbs soon after.
    climbs: u32,
}

impl Bands {
    /// The band now.
    pub(crate) fn take(&mut self, thermal: &Thermal, now: Duration) -> Band {
        let least = Self::at_least(thermal, 0.0);
        if least > self.band {
            self.climb(least, now);
        } else if thermal.is_blind() {
            // What cannot be told may be as bad as what was told last.
            self.fit.ends();
        } else if !thermal.is_fresh() {
            // Nothing is eased on what was true some time ago.
        } else if Self::at_least(thermal, HYSTERESIS) < self.band {
            self.dwell(least, now);
        } else {
            self.fit.ends();
        }
        self.fit.looked(now);
        self.band
    }

    /// The board is fit for the next lower band, and gets there once it has been for long enough.
    fn dwell(&mut self, least: Band, now: Duration) {
        if self.fit.holds(now) >= DWELL * (1 << self.climbs.min(DOUBLINGS)) {
            self.band = below(self.band).max(least);
            self.left = Some(now);
            self.fit.ends();
        }
    }

    fn climb(&mut self, band: Band, now: Duration) {
        let soon = self.left.is_some_and(|left| now.saturating_sub(left) < AGAIN_WITHIN);
        self.climbs = if soon { (self.climbs + 1).min(DOUBLINGS) } else { 0 };
        self.band = band;
        self.fit.ends();
    }

    /// The mildest band that what is felt permits, were it `hotter` by so many degrees.
    fn at_least(thermal: &Thermal, hotter: f64) -> Band {
        let excess = thermal.excess().map_or(f64::NEG_INFINITY, |excess| excess + hotter);
        let critical = thermal.over_critical().is_some_and(|over| over + hotter >= 0.0);
        if critical || thermal.reasons().has(ClockReasons::HARDWARE_THERMAL) {
            Band::Critical
        } else if excess >= HOT_AT || thermal.is_blind() || thermal.reasons().is_thermal() {
            Band::Hot
        } else if excess >= WARM_AT {
            Band::Warm
        } else {
            Band::Cool
        }
    }
}

const fn below(band: Band) -> Band {
    match band {
        Band::Cool | Band::Warm => Band::Cool,
        Band::Hot => Band::Warm,
        Band::Critical => Band::Hot,
    }
}

#[cfg(test)]
mod tests;
