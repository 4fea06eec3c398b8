//! The clocks that a board can be asked for, as shares of the highest one, in steps.

use helixflow_model::{BoardLimits, BoardReading, MegaHertz};

/// Steps between the lowest and the highest clock: fine enough that one of them costs under 3 % of the speed, coarse
/// enough that whole-degree noise does not move it.
pub(crate) const LEVELS: u32 = 40;

/// A clock asked for is a multiple of this: NVIDIA's boards know every fifteenth megahertz.
const GRAIN: u32 = 15;

/// The lowest share of the highest clock that is asked for where the board does not tell its lowest one.
const LEAST_DEFAULT: f64 = 0.25;

/// The clocks of one board.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    least: Option<u32>,
    /// As told, else the highest seen.
    most: u32,
    told: bool,
    share: f64,
}

impl Clocks {
    pub(super) fn new(limits: BoardLimits) -> Self {
        let most = limits.clock_most.map_or(0, |clock| clock.0);
        let least = limits.clock_least.map(|clock| clock.0);
        Self { least, most, told: most > 0, share: 1.0 }
    }

    /// Takes in a reading; gives the share of the top clock that the board runs at, by its sensor or by our own limit.
    pub(super) fn see(&mut self, reading: &BoardReading, limit: Option<MegaHertz>) -> f64 {
        let clock = reading.core_clock.live();
        if let Some(clock) = clock.filter(|_| !self.told) {
            self.most = self.most.max(clock.0);
        }
        let clock = clock.or(limit).map_or(self.most, |clock| clock.0);
        self.share =
            if self.most == 0 { 1.0 } else { (f64::from(clock) / f64::from(self.most)).clamp(0.02, 1.0) };
        self.share
    }

    /// The share of the top clock that the board runs at now.
    pub(crate) const fn share(&self) -> f64 {
        self.share
    }

    /// The lowest share that is asked for.
    pub(crate) fn least_share(&self) -> f64 {
        match self.least {
            Some(least) if self.most > 0 => (f64::from(least) / f64::from(self.most)).clamp(0.02, 1.0),
            _ => LEAST_DEFAULT,
        }
    }

    /// The clock to ask for at this share, none where no clock is known; never above the share.
    pub(crate) fn at(&self, share: f64) -> Option<MegaHertz> {
        // The cast saturates.
        let wanted = (f64::from(self.most) * share) as u32;
        let grained = wanted - wanted % GRAIN;
        (self.most > 0).then(|| MegaHertz(grained.max(self.least.unwrap_or(GRAIN)).min(self.most)))
    }
}

/// The share at a level, from 0 to [`LEVELS`].
pub(crate) fn share_of(level: u32, least: f64) -> f64 {
    least + (1.0 - least) * f64::from(level) / f64::from(LEVELS)
}
