//! How long to wait before the next attempt at something that keeps failing.

use std::time::Duration;

/// Beyond this many doublings every pause is the longest one; the shift below cannot overflow.
const MOST_DOUBLINGS: u32 = 31;

/// Pauses that double from `first` up to `longest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after `failures` failures in a row, the first of which counts as 1.
    pub fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(MOST_DOUBLINGS);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }

    /// The same pause, shortened by up to a half by the random number `draw`, so that many nodes that lost the same
    /// coordinator do not all return at the same moment.
    pub fn jittered(&self, failures: u32, draw: u64) -> Duration {
        let pause = self.pause(failures);
        let half = pause / 2;
        let span = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        pause.saturating_sub(Duration::from_nanos(draw % span))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(10) };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<u128> = (1..=8).map(|n| BACKOFF.pause(n).as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(BACKOFF.pause(u32::MAX), BACKOFF.longest);
    }

    proptest! {
        #[test]
        fn jitter_takes_away_at_most_half(failures in 0u32..100, draw: u64) {
            let (whole, jittered) = (BACKOFF.pause(failures), BACKOFF.jittered(failures, draw));
            prop_assert!(jittered <= whole);
            prop_assert!(jittered >= whole / 2);
        }
    }
}
