//! Punctuality: what readings that are late or fail say of a board, and what of the driver.
//!
//! Such a reading lowers the weight of its board; several of the last ones fence it. Where no board brings one the
//! driver is suspect, and each board is judged by whether it still decodes.

use std::time::Duration;

/// How long a reading may take. A healthy one takes milliseconds, and at the fastest pace this is two intervals: so a
/// blocked call is noticed within them.
pub const READING_DEADLINE: Duration = Duration::from_millis(200);

/// Of the last so many attempts …
const ATTEMPTS: u32 = 10;

/// … so many without a reading fence the board: one stall of a busy machine does not, a blocked call does after about
/// a second.
const FENCE: u32 = 4;

/// The weight lost with each of the last attempts that brought nothing, and what is left at least, permille.
const WEIGHT_LOST: u16 = 150;
const WEIGHT_LEAST: u16 = 100;

/// Without a reading for so long a board counts as hot: its die can heat by ten degrees meanwhile.
const BLIND_AFTER: Duration = Duration::from_secs(3);

/// What is to be thought of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// It answers for some board at least.
    Sound,
    /// It brings no reading of any board.
    Suspect {
        /// Whether this board still decodes, or has nothing to decode: then nothing speaks against it.
        progressing: bool,
    },
    /// It carries out an order of ours to this board's clock, and the reading waits for that.
    Busy,
}

impl Driver {
    /// Whether a reading that did not come is the driver's fault and not the board's.
    pub(super) const fn excuses(self) -> bool {
        matches!(self, Self::Suspect { progressing: true } | Self::Busy)
    }
}

/// The last attempts to read one board.
#[derive(Clone, Debug, Default)]
pub(super) struct Punctuality {
    /// Attempts that brought nothing, the last one in the lowest bit.
    empty: u32,
    /// Those of them that count against the board.
    faults: u32,
    /// When a reading last came, or did not come for no fault of the board's, or the first attempt was made.
    seen: Option<Duration>,
}

impl Punctuality {
    /// Takes in an attempt, which brought a reading or not.
    pub(super) fn take(&mut self, brought: bool, driver: Driver, now: Duration) {
        const MASK: u32 = (1 << ATTEMPTS) - 1;
        self.empty = ((self.empty << 1) | u32::from(!brought)) & MASK;
        self.faults = ((self.faults << 1) | u32::from(!brought && !driver.excuses())) & MASK;
        if brought || driver.excuses() || self.seen.is_none() {
            self.seen = Some(now);
        }
    }

    /// How much the board's word counts.
    pub(super) fn weight(&self) -> u16 {
        // At most ten ones.
        let empty = self.empty.count_ones() as u16;
        (1000 - (WEIGHT_LOST * empty).min(1000)).max(WEIGHT_LEAST)
    }

    /// Whether too many of the last readings did not come.
    pub(super) const fn is_fenced(&self) -> bool {
        self.faults.count_ones() >= FENCE
    }

    /// Whether the board has not been seen for so long that it counts as hot.
    pub(super) fn is_blind(&self, driver: Driver, now: Duration) -> bool {
        !driver.excuses() && self.seen.is_some_and(|seen| now.saturating_sub(seen) >= BLIND_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRESSING: Driver = Driver::Suspect { progressing: true };
    const STANDING_STILL: Driver = Driver::Suspect { progressing: false };

    fn after(attempts: &[(bool, Driver)]) -> Punctuality {
        let mut punctuality = Punctuality::default();
        for (n, (brought, driver)) in (0..).zip(attempts) {
            punctuality.take(*brought, *driver, READING_DEADLINE * n);
        }
        punctuality
    }

    #[test]
    fn every_late_reading_lowers_the_weight_and_punctual_ones_bring_it_back() {
        let mut weights = Vec::new();
        let mut punctuality = Punctuality::default();
        for n in 0..3 {
            punctuality.take(false, Driver::Sound, READING_DEADLINE * n);
            weights.push(punctuality.weight());
        }
        assert_eq!(weights, [850, 700, 550]);
        for n in 3..13 {
            punctuality.take(true, Driver::Sound, READING_DEADLINE * n);
        }
        assert_eq!(punctuality.weight(), 1000);
    }

    #[test]
    fn four_late_ones_of_ten_fence_a_board_and_three_do_not() {
        let (late, punctual) = ((false, Driver::Sound), (true, Driver::Sound));
        assert!(!after(&[late, punctual, late, punctual, late]).is_fenced());
        assert!(after(&[late, punctual, late, punctual, late, punctual, late]).is_fenced());
    }

    #[test]
    fn with_a_suspect_driver_a_board_is_fenced_only_where_it_does_not_decode() {
        let progressing = after(&[(false, PROGRESSING); 30]);
        assert!(!progressing.is_fenced() && !progressing.is_blind(PROGRESSING, Duration::from_secs(60)));
        assert_eq!(progressing.weight(), WEIGHT_LEAST);
        assert!(!progressing.is_blind(Driver::Sound, READING_DEADLINE * 31), "it was excused until now");
        assert!(after(&[(false, STANDING_STILL); 4]).is_fenced());
    }
}
