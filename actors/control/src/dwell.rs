//! How long something has held, by the readings that came.

use std::time::Duration;

/// The time between two looks counts for at most this: what was in a longer gap, nobody knows.
const LONGEST_STEP: Duration = Duration::from_secs(3);

/// The time from one look at a board to the next, as far as it counts.
pub(crate) fn step(from: Duration, to: Duration) -> Duration {
    to.saturating_sub(from).min(LONGEST_STEP)
}

/// A time that grows while something holds, look by look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dwell {
    /// When the board was last looked at.
    looked: Duration,
    /// None before the first look at which it held.
    held: Option<Duration>,
}

impl Dwell {
    /// It holds now: for how long, counted from the first look at which it did.
    pub(crate) fn holds(&mut self, now: Duration) -> Duration {
        let held = self.held.map_or(Duration::ZERO, |held| held.saturating_add(step(self.looked, now)));
        self.held = Some(held);
        held
    }

    /// It does not hold, or counts from anew.
    pub(crate) const fn ends(&mut self) {
        self.held = None;
    }

    /// How long it has held so far.
    pub(crate) fn so_far(&self) -> Duration {
        self.held.unwrap_or_default()
    }

    /// The board was looked at, whatever was seen: the next look counts from here.
    pub(crate) const fn looked(&mut self, now: Duration) {
        self.looked = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn look(dwell: &mut Dwell, holds: bool, now: Duration) -> Duration {
        let held = if holds { dwell.holds(now) } else { dwell.so_far() };
        dwell.looked(now);
        held
    }

    #[test]
    fn only_looks_at_which_it_holds_count_and_a_gap_counts_for_three_seconds() {
        let mut dwell = Dwell::default();
        let looks = [(true, 5, 0), (true, 6, 1), (false, 8, 1), (true, 9, 2), (true, 100, 5)];
        for (holds, now, held) in looks {
            assert_eq!(look(&mut dwell, holds, at(now)), at(held), "at {now} s");
        }
        dwell.ends();
        assert_eq!(look(&mut dwell, true, at(101)), Duration::ZERO, "counts from anew");
    }
}
