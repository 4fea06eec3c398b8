//! How fast tokens come, smoothed, in integers.

use std::time::Duration;

/// Working time after which a sample is taken: several steps, so that one long prompt does not look like a stall.
const WINDOW: Duration = Duration::from_millis(250);
/// A new sample counts one part in this many: the figure follows a change within about a second of work.
const WEIGHT: u64 = 4;

/// Exponentially weighted moving average of the speed, over working time, rests of the pace included.
#[derive(Debug, Default)]
pub(super) struct Rate {
    tokens: u64,
    worked: Duration,
    smoothed: u64,
}

impl Rate {
    /// Counts a step.
    pub(super) fn observe(&mut self, tokens: u64, took: Duration) {
        self.tokens += tokens;
        self.worked += took;
        if self.worked < WINDOW {
            return;
        }
        let sample = u128::from(self.tokens) * 1_000_000_000 / self.worked.as_micros().max(1);
        let sample = u64::try_from(sample).unwrap_or(u64::MAX / WEIGHT);
        self.smoothed =
            if self.smoothed == 0 { sample } else { (self.smoothed * (WEIGHT - 1) + sample) / WEIGHT };
        (self.tokens, self.worked) = (0, Duration::ZERO);
    }

    /// Thousandths of a token a second; 0 before the first sample.
    pub(super) fn millitokens_per_second(&self) -> u64 {
        self.smoothed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_a_change_smoothly() {
        let mut rate = Rate::default();
        rate.observe(9, Duration::from_millis(100));
        assert_eq!(rate.millitokens_per_second(), 0, "the window is not over");
        rate.observe(21, Duration::from_millis(200));
        assert_eq!(rate.millitokens_per_second(), 100_000);
        rate.observe(50, Duration::from_millis(250));
        assert_eq!(rate.millitokens_per_second(), 125_000);
        (0..60).for_each(|_| rate.observe(50, Duration::from_millis(250)));
        assert!((199_000..=200_000).contains(&rate.millitokens_per_second()));
    }
}
