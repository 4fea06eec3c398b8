//! How long a request would wait at a replica, from its last report and the age of that report.
//!
//! A first model, in integers: work in front, over speed. It ranks replicas; it promises nothing.

use std::time::Duration;

use helixflow_model::LoadReport;

use super::Candidate;

/// Tokens that one request still has to generate, on average: half of a common limit of 128.
const TOKENS_A_REQUEST: u128 = 64;
/// Prompt tokens that a replica computes in the time of one generated token.
const PREFILL_SPEEDUP: u128 = 8;
/// One token a second: a replica that has work and reports no speed is at least not taken for a quick one.
const SLOWEST: u64 = 1000;
/// Twenty tokens a second: what is assumed while nobody has generated anything.
const NOMINAL: u64 = 20_000;
/// After this age half of a reported wait gives way to the mean of all: twice the longest interval of reports.
const HALF_LIFE_MS: u128 = 2000;
/// Reports may be this old before their age counts as waiting: a few intervals, so that a hiccup moves nobody.
const TIMELY: Duration = Duration::from_secs(3);
/// Longer waits and ages are all the same, and the arithmetic stays far from its limits.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// The speed taken for replicas that are idle, and whose own speed says nothing: the best one known.
pub(super) fn reference_speed<'a>(loads: impl Iterator<Item = &'a LoadReport>) -> u64 {
    loads.map(|load| load.millitokens_per_second).max().filter(|best| *best > 0).unwrap_or(NOMINAL)
}

/// The wait that a fresh report tells of, the request itself counted.
pub(super) fn reported(load: &LoadReport, reference: u64) -> Duration {
    let busy = u128::from(load.queued) + u128::from(load.active);
    let tokens = (busy + 1) * TOKENS_A_REQUEST + u128::from(load.prefill_backlog) / PREFILL_SPEEDUP;
    time_for(tokens, speed(load, reference))
}

/// What one request more adds to the wait.
pub(super) fn each_more(load: &LoadReport, reference: u64) -> Duration {
    time_for(TOKENS_A_REQUEST, speed(load, reference))
}

/// The wait at a replica where the asking gateway itself has `own` requests under way: those that the report cannot
/// tell of yet are added to it.
pub(super) fn with_own(candidate: &Candidate, own: u32) -> Duration {
    let told = candidate.load.queued.saturating_add(candidate.load.active);
    let untold = candidate.each_more.saturating_mul(own.saturating_sub(told));
    candidate.expected_wait.saturating_add(untold)
}

/// Thousandths of tokens a second.
fn speed(load: &LoadReport, reference: u64) -> u64 {
    if load.queued == 0 && load.active == 0 { reference } else { load.millitokens_per_second.max(SLOWEST) }
}

fn time_for(tokens: u128, speed: u64) -> Duration {
    let micros = tokens * 1_000_000_000 / u128::from(speed.max(1));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// The wait to expect once a report has aged: it drifts towards the mean of all, and silence is added to it.
///
/// So a replica whose reports are late loses weight step by step, and when all are late they are equal again.
pub(super) fn aged(reported: Duration, mean: Duration, age: Duration) -> Duration {
    let age_ms = age.min(FORGOTTEN).as_millis();
    let (own, others) = (reported.min(FORGOTTEN).as_micros(), mean.min(FORGOTTEN).as_micros());
    let drifted = (own * HALF_LIFE_MS + others * age_ms) / (HALF_LIFE_MS + age_ms);
    let drifted = Duration::from_micros(u64::try_from(drifted).unwrap_or(u64::MAX));
    drifted.saturating_add(age.saturating_sub(TIMELY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(queued: u32, active: u32, speed: u64) -> LoadReport {
        LoadReport { queued, active, millitokens_per_second: speed, ..LoadReport::default() }
    }

    #[test]
    fn more_work_waits_longer_and_more_speed_shorter() {
        let wait = |queued, active, speed| reported(&load(queued, active, speed), 100_000);
        assert!(wait(0, 1, 50_000) < wait(0, 2, 50_000));
        assert!(wait(0, 2, 50_000) < wait(1, 2, 50_000));
        assert!(wait(0, 2, 100_000) < wait(0, 2, 50_000));
    }

    #[test]
    fn an_idle_replica_is_not_judged_by_the_speed_of_its_last_request() {
        assert_eq!(reported(&load(0, 0, 1), 100_000), reported(&load(0, 0, 90_000), 100_000));
        assert!(reported(&load(0, 0, 1), 100_000) < reported(&load(0, 1, 100_000), 100_000));
    }

    #[test]
    fn a_report_says_less_the_older_it_is() {
        let (short, mean) = (Duration::from_millis(100), Duration::from_millis(900));
        assert_eq!(aged(short, mean, Duration::ZERO), short);
        assert_eq!(aged(short, mean, Duration::from_secs(2)), Duration::from_millis(500));
        assert!(aged(short, mean, Duration::from_secs(60)) > Duration::from_secs(57));
    }

    #[test]
    fn extreme_loads_are_no_overflow() {
        let most = LoadReport {
            queued: u32::MAX,
            active: u32::MAX,
            prefill_backlog: u32::MAX,
            ..LoadReport::default()
        };
        let wait = reported(&most, 0);
        assert!(aged(wait, wait, Duration::MAX) > Duration::from_secs(u64::MAX / 2));
    }
}
