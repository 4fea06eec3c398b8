//! The load of one replica, smoothed in whole numbers.
//!
//! Counts are passed on as they are: they are what waits now. What is picked by, requests in all and tokens a second, is
//! smoothed, since a batch makes both jump several times a second.

use std::time::Duration;

use helixflow_model::LoadReport;

/// The time in which a change shows by half or a little more: a few decoding steps of a large batch, and short against
/// the second between digests.
const HALF: Duration = Duration::from_millis(500);

/// The smoothed load of one replica.
#[derive(Clone, Debug, Default)]
pub struct LoadEstimate {
    /// The last report taken in, its smoothed figures included, and when.
    last: Option<(LoadReport, Duration)>,
}

impl LoadEstimate {
    /// Takes in a report at `now`, the time since the process began; gives it with `busy_milli` and
    /// `millitokens_per_second` smoothed. Of these two only the speed is read: what is busy is counted from the queue
    /// and the batch.
    pub fn take(&mut self, report: LoadReport, now: Duration) -> LoadReport {
        let busy = (u64::from(report.queued) + u64::from(report.active)).saturating_mul(1000);
        let (busy, speed) = match self.last {
            None => (busy, report.millitokens_per_second),
            Some((before, at)) => {
                let step = now.saturating_sub(at);
                let smooth = |before: u64, value: u64| smoothed(before, value, step);
                let speed = smooth(before.millitokens_per_second, report.millitokens_per_second);
                (smooth(u64::from(before.busy_milli), busy), speed)
            }
        };
        let smoothed = LoadReport {
            busy_milli: u32::try_from(busy).unwrap_or(u32::MAX),
            millitokens_per_second: speed,
            ..report
        };
        self.last = Some((smoothed, now));
        smoothed
    }
}

/// `before`, moved towards `value` by `step / (step + HALF)` of the difference. The division rounds the move up, so that a
/// value that stays is reached and not only neared.
fn smoothed(before: u64, value: u64, step: Duration) -> u64 {
    let (step, half) = (step.as_nanos(), HALF.as_nanos());
    let difference = u128::from(before.abs_diff(value));
    let moved = difference.saturating_mul(step).div_ceil(step.saturating_add(half));
    // No more than the difference, so it fits again.
    let moved = u64::try_from(moved.min(difference)).unwrap_or(u64::MAX);
    if value > before { before + moved } else { before - moved }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queue(queued: u32) -> LoadReport {
        LoadReport { queued, kv_pages_free: 7, ..LoadReport::default() }
    }

    #[test]
    fn a_change_shows_by_half_after_half_a_second_and_whole_in_the_end() {
        let mut estimate = LoadEstimate::default();
        assert_eq!(estimate.take(queue(0), Duration::ZERO).busy_milli, 0);
        let half = estimate.take(queue(8), HALF);
        assert_eq!((half.busy_milli, half.queued, half.kv_pages_free), (4000, 8, 7));
        let settled = (2..200).map(|n| estimate.take(queue(8), HALF * n)).last();
        assert_eq!(settled.map(|load| load.busy_milli), Some(8000));
    }

    proptest! {
        #[test]
        fn smoothed_values_stay_between_the_old_and_the_new_at_any_size(
            before: u64, value: u64, millis: u64,
        ) {
            let smooth = smoothed(before, value, Duration::from_millis(millis));
            prop_assert!((before.min(value)..=before.max(value)).contains(&smooth));
        }
    }
}
