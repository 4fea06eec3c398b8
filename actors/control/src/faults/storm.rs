//! A storm: more events than a rate allows, counted by a bucket that leaks.

use std::time::Duration;

/// Events counted against a rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storm {
    most: u64,
    /// The time in which a full bucket leaks dry.
    window: Duration,
    /// Events in the bucket, in nanoseconds of leaking: whole numbers, so nothing is lost to rounding.
    level: u128,
    at: Duration,
}

impl Storm {
    /// More than `most` at once, or that rate over `window` for long, is a storm.
    pub(super) const fn new(most: u64, window: Duration) -> Self {
        Self { most, window, level: 0, at: Duration::ZERO }
    }

    /// Takes in so many events; tells whether they make a storm.
    pub(super) fn take(&mut self, events: u64, now: Duration) -> bool {
        let leaked = now.saturating_sub(self.at).as_nanos();
        self.at = self.at.max(now);
        let each = self.window.as_nanos() / u128::from(self.most.max(1));
        let full = self.window.as_nanos();
        self.level = self.level.saturating_sub(leaked);
        // Twice a full bucket is as much as is remembered.
        self.level = self.level.saturating_add(u128::from(events).saturating_mul(each)).min(2 * full);
        events > 0 && self.level > full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_below_the_bound_never_makes_a_storm_and_one_above_does() {
        let minutes = |events: u64| {
            let mut storm = Storm::new(60, Duration::from_secs(3600));
            (0..600).any(|minute| storm.take(events, Duration::from_secs(60 * minute)))
        };
        assert!(!minutes(1));
        assert!(minutes(2));
    }

    #[test]
    fn many_at_once_are_a_storm_and_no_number_overflows() {
        let mut storm = Storm::new(5, Duration::from_secs(3600));
        assert!(!storm.take(5, Duration::ZERO));
        assert!(storm.take(1, Duration::ZERO));
        assert!(storm.take(u64::MAX, Duration::MAX));
    }
}
