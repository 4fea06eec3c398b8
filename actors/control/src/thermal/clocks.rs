//! The clocks that a board can be asked for, as shares of the highest one, in steps.

use helixflow_model::{BoardLimits, BoardReading, MegaHertz};

/// Steps between the lowest and the highest clock: about the steps that boards know themselves. One of them moves the
/// die by well under the degree that a sensor shows, so that the clock settles on one.
pub(crate) const LEVELS: u32 = 100;

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

/// The highest level whose share is no more than this one.
pub(crate) fn level_of(share: f64, least: f64) -> u32 {
    if share <= least {
        return 0;
    }
    // Both differences are above zero; what is rounded off is no whole level.
    ((share - least) / (1.0 - least) * f64::from(LEVELS) + 1e-9) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clocks(least: u32, most: u32) -> Clocks {
        let told = |clock| (clock > 0).then_some(MegaHertz(clock));
        Clocks::new(BoardLimits {
            clock_least: told(least),
            clock_most: told(most),
            ..BoardLimits::default()
        })
    }

    #[test]
    fn clocks_asked_for_are_ones_that_boards_know() {
        assert_eq!(clocks(210, 1980).at(1.0), Some(MegaHertz(1980)));
        assert_eq!(clocks(210, 1980).at(0.9), Some(MegaHertz(1770)));
        assert_eq!(clocks(345, 1980).at(0.0), Some(MegaHertz(345)));
        assert_eq!(clocks(0, 0).at(1.0), None);
    }

    proptest! {
        #[test]
        fn levels_and_shares_agree(level in 0..=LEVELS, least in 0.02f64..0.98) {
            prop_assert_eq!(level_of(share_of(level, least), least), level);
        }

        #[test]
        fn a_higher_share_never_asks_for_a_lower_clock(
            least: u32, most: u32, lower in 0f64..=1.0, higher in 0f64..=1.0,
        ) {
            let clocks = clocks(least, most);
            prop_assert!(clocks.at(lower.min(higher)) <= clocks.at(lower.max(higher)));
        }
    }
}
