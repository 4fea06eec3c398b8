//! How fast a replica generates, smoothed, from a running total: whole numbers only, so that it is the same anywhere.

use std::time::Duration;

/// The past fades with this time constant: long enough to bridge a pause between two steps, short enough that a replica
/// that went idle looks idle before a placement decision is taken on it.
const FADE: Duration = Duration::from_secs(2);

/// A smoothed rate of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadEstimate {
    millitokens_per_second: u64,
    last: Option<(Duration, u64)>,
}

impl LoadEstimate {
    /// Takes in that `tokens` have been generated in all by `now`, the time since the process began.
    ///
    /// The first observation, and one after a restart (a smaller total), only sets the mark. The weight of the rate
    /// since the last mark is `elapsed / (elapsed + FADE)`: near 0 for two readings in close succession, near 1 after
    /// a long silence.
    pub fn observe(&mut self, now: Duration, tokens: u64) {
        let Some((at, before)) = self.last.replace((now, tokens)) else { return };
        let elapsed = now.saturating_sub(at).as_millis();
        if elapsed == 0 {
            self.last = Some((at, before));
            return;
        }
        let Some(fresh) = tokens.checked_sub(before) else { return };
        // Millitokens a second are tokens x 1,000 x 1,000 / milliseconds.
        let rate = u128::from(fresh) * 1_000_000 / elapsed;
        let old = u128::from(self.millitokens_per_second);
        let smoothed = (old * FADE.as_millis() + rate * elapsed) / (FADE.as_millis() + elapsed);
        self.millitokens_per_second = u64::try_from(smoothed).unwrap_or(u64::MAX);
    }

    /// Tokens a second, in thousandths.
    pub const fn millitokens_per_second(&self) -> u64 {
        self.millitokens_per_second
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_steady_rate_is_found_and_silence_fades() {
        let mut load = LoadEstimate::default();
        for half_second in 0..60u32 {
            load.observe(Duration::from_millis(500) * half_second, 50 * u64::from(half_second));
        }
        assert!((99_000..=100_000).contains(&load.millitokens_per_second()), "{load:?}");
        load.observe(Duration::from_secs(60), 50 * 59);
        assert!(load.millitokens_per_second() < 7_000, "{load:?}");
    }

    #[test]
    fn two_readings_at_one_moment_lose_no_token() {
        let mut load = LoadEstimate::default();
        load.observe(Duration::ZERO, 0);
        load.observe(Duration::ZERO, 100);
        load.observe(Duration::from_secs(1), 100);
        assert_eq!(load.millitokens_per_second(), 100_000 / 3);
    }

    proptest! {
        #[test]
        fn the_estimate_stays_between_the_old_one_and_the_new_rate(
            steps in prop::collection::vec((1u64..10_000, 0u64..1_000_000), 1..50),
        ) {
            let mut load = LoadEstimate::default();
            load.observe(Duration::ZERO, 0);
            let (mut now, mut total) = (Duration::ZERO, 0);
            for (millis, tokens) in steps {
                let old = load.millitokens_per_second();
                now += Duration::from_millis(millis);
                total += tokens;
                load.observe(now, total);
                let rate = tokens * 1_000_000 / millis;
                // Two divisions that round down cost less than 2.
                prop_assert!(load.millitokens_per_second() + 2 >= old.min(rate));
                prop_assert!(load.millitokens_per_second() <= old.max(rate));
            }
        }

        #[test]
        fn no_total_makes_it_overflow(totals in prop::collection::vec(any::<u64>(), 2..20)) {
            let mut load = LoadEstimate::default();
            for (second, total) in (0u64..).zip(totals) {
                load.observe(Duration::from_secs(second), total);
            }
        }
    }
}
