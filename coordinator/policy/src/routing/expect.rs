//! How long a request would take at a replica, from its last report and the age of that report.
//!
//! In integers: work there, by the curve of the fleet, by the replica's own slowness. It ranks replicas; it promises
//! nothing.

use std::time::Duration;

use helixflow_model::LoadReport;

use super::curve::Curve;

/// All of something, in thousandths.
pub(super) const WHOLE: u64 = 1000;
/// Tokens that one request still has to generate, on average: half of a common limit of 128.
const TOKENS_A_REQUEST: u64 = 64;
/// Prompt tokens that a replica computes in the time of one generated token.
const PREFILL_SPEEDUP: u64 = 8;
/// Generated tokens in whose time one prompt is computed: 64 tokens at that speed, as short questions to a small model
/// have, or a thousand on a GPU, which computes over a hundred in that time.
const PROMPT_STEPS: u64 = 8;
/// After this age half of a figure gives way to the mean of all: twice the longest interval of reports.
const HALF_LIFE_MS: u64 = 2000;
/// After this age a count of requests is worth as much as the smoothed one: many requests take about a second, and what
/// was counted is by then half gone.
const COUNT_HALF_LIFE_MS: u64 = 1000;
/// Reports may be so much older than the freshest before their age counts as waiting: a few intervals, so that a hiccup
/// moves nobody.
const TIMELY: Duration = Duration::from_secs(3);
/// Longer times and ages are all the same, and the arithmetic stays far from its limits.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// What a report tells of the time that a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The next request, in microseconds.
    pub(super) next: u64,
    /// What is added to it by what the report does not tell of.
    pub(super) more: More,
}

/// What one thing more adds to the time of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct More {
    /// A request in the batch, or waiting.
    pub(super) request: Duration,
    /// A prompt that is computed first.
    pub(super) prompt: Duration,
    /// That no place in the batch is free. When the next one is, nobody knows; so it counts as much as all that a request
    /// still has to generate, and who has a place free is asked first.
    pub(super) place: Duration,
    /// The same as far as the report tells that none is, and by its age still does.
    pub(super) place_told: Duration,
}

/// What a replica of this slowness would take by a report of this age. A request shares the batch with all who are there;
/// while others wait for a place, it waits for as many of those in the batch to end.
///
/// The price of heat counts as so many more requests, and not as time: a large batch is hardly slower for one request
/// more, so what is a trifle of time would empty a board of most of its requests, and overfill all others.
pub(super) fn told(load: &LoadReport, age: Duration, curve: &Curve, slowness: u64, price: u64) -> Told {
    let there = priced(busy_by_now(load, age) + WHOLE, price);
    let generating = TOKENS_A_REQUEST.saturating_mul(curve.step(there));
    let places = u64::from(load.active.max(1));
    let queueing = u128::from(generating) * u128::from(load.queued) / u128::from(places);
    let prefilling = (u64::from(load.prefill_backlog) / PREFILL_SPEEDUP).saturating_mul(curve.step(WHOLE));
    let next = u128::from(generating) + queueing + u128::from(prefilling);
    let behind_all = if load.queued > 0 { generating / places } else { 0 };
    let each_more =
        u128::from(priced(TOKENS_A_REQUEST.saturating_mul(curve.each()), price)) + u128::from(behind_all);
    let prompt = u128::from(PROMPT_STEPS.saturating_mul(curve.step(there)));
    let time = |nanos| Duration::from_micros(micros(nanos, slowness));
    let place = time(u128::from(generating));
    let faded = Duration::from_micros(drifted(micros_of(place), 0, WHOLE, age));
    let place_told = if is_full(load) { faded } else { Duration::ZERO };
    let more = More { request: time(each_more), prompt: time(prompt), place, place_told };
    Told { next: micros(next, slowness), more }
}

/// Whether the next request has to wait for a place, as the report tells it: the batch holds no more, or the pages that are
/// free are fewer than one of those in it holds on average. Of a node that does not tell how many the batch holds, those that
/// wait tell it.
fn is_full(load: &LoadReport) -> bool {
    let there = load.queued.saturating_add(load.active);
    let used = u64::from(load.kv_pages_total.saturating_sub(load.kv_pages_free));
    let no_pages = used > 0 && u64::from(load.kv_pages_free) * u64::from(load.active) < used;
    let no_sequence = match load.sequences {
        0 => load.queued > 0 && load.active > 0,
        sequences => there >= sequences,
    };
    no_sequence || no_pages
}

/// Requests there, in thousandths: as counted, and the more the smoothed figure the older the count is.
fn busy_by_now(load: &LoadReport, age: Duration) -> u64 {
    let counted = (u64::from(load.queued) + u64::from(load.active)) * WHOLE;
    let age = millis(age);
    (counted * COUNT_HALF_LIFE_MS + u64::from(load.busy_milli) * age) / (COUNT_HALF_LIFE_MS + age)
}

fn micros(nanos: u128, slowness: u64) -> u64 {
    let micros = nanos * u128::from(slowness) / u128::from(WHOLE * 1000);
    u64::try_from(micros).unwrap_or(u64::MAX).min(micros_of(FORGOTTEN))
}

/// A figure as it counts at this age and weight, in thousandths: the rest of it is the mean of all.
pub(super) fn drifted(own: u64, mean: u64, weight: u64, age: Duration) -> u64 {
    let all = u128::from(WHOLE * (HALF_LIFE_MS + millis(age)));
    let held = u128::from(weight * HALF_LIFE_MS);
    let sum = u128::from(own) * held + u128::from(mean) * (all - held);
    u64::try_from(sum / all).unwrap_or(u64::MAX)
}

/// Adds the price of heat, in thousandths.
fn priced(figure: u64, price: u64) -> u64 {
    let priced = u128::from(figure) * u128::from(WHOLE + price) / u128::from(WHOLE);
    u64::try_from(priced).unwrap_or(u64::MAX)
}

/// What silence adds: the age beyond that of the freshest report, so that when all are late none pays for it.
pub(super) fn silence(age: Duration, freshest: Duration) -> Duration {
    age.min(FORGOTTEN).saturating_sub(freshest.saturating_add(TIMELY))
}

fn millis(age: Duration) -> u64 {
    micros_of(age.min(FORGOTTEN)) / 1000
}

fn micros_of(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(queued: u32, active: u32) -> LoadReport {
        LoadReport { queued, active, busy_milli: (queued + active) * 1000, ..LoadReport::default() }
    }

    fn nobody() -> Curve {
        Curve::fit(std::iter::empty())
    }

    #[test]
    fn more_work_takes_longer_and_so_does_a_slower_replica() {
        let next = |queued, active, slowness| {
            told(&load(queued, active), Duration::ZERO, &nobody(), slowness, 0).next
        };
        assert!(next(0, 1, WHOLE) < next(0, 2, WHOLE));
        assert!(next(0, 2, WHOLE) < next(1, 2, WHOLE));
        assert!(next(0, 2, WHOLE) < next(0, 2, 2 * WHOLE));
    }

    #[test]
    fn a_queue_costs_more_than_a_batch() {
        let told = |queued, active| told(&load(queued, active), Duration::ZERO, &nobody(), WHOLE, 0);
        assert!(told(4, 4).next > told(0, 8).next);
        assert!(told(4, 4).more.request > told(0, 8).more.request);
    }

    #[test]
    fn a_batch_is_full_by_its_sequences_by_its_pages_or_by_those_that_wait() {
        let load = LoadReport { active: 4, kv_pages_total: 100, kv_pages_free: 60, ..LoadReport::default() };
        assert!(!is_full(&load));
        assert!(is_full(&LoadReport { sequences: 4, ..load }));
        assert!(!is_full(&LoadReport { sequences: 5, ..load }));
        assert!(is_full(&LoadReport { queued: 1, ..load }));
        assert!(!is_full(&LoadReport { queued: 1, sequences: 8, ..load }));
        assert!(is_full(&LoadReport { kv_pages_free: 19, ..load }));
        assert!(!is_full(&LoadReport { kv_pages_free: 20, ..load }));
    }

    #[test]
    fn that_no_place_was_free_counts_less_the_longer_ago_it_was() {
        let load = LoadReport { active: 4, sequences: 4, ..LoadReport::default() };
        let place = |seconds| told(&load, Duration::from_secs(seconds), &nobody(), WHOLE, 0).more.place_told;
        let now = place(0);
        assert_eq!(now, told(&load, Duration::ZERO, &nobody(), WHOLE, 0).more.place);
        assert!(
            place(2) <= now / 2 && place(2) > now / 3 && place(60) < now / 30,
            "{:?} of {now:?}",
            place(60)
        );
    }

    #[test]
    fn an_old_count_counts_less_than_the_smoothed_one() {
        let gone = LoadReport { active: 9, busy_milli: 1000, ..LoadReport::default() };
        assert_eq!(busy_by_now(&gone, Duration::ZERO), 9000);
        assert_eq!(busy_by_now(&gone, Duration::from_secs(1)), 5000);
        assert_eq!(busy_by_now(&gone, Duration::MAX), 1000);
    }

    #[test]
    fn a_figure_says_less_the_older_it_is_and_the_less_it_is_trusted() {
        assert_eq!(drifted(100, 900, WHOLE, Duration::ZERO), 100);
        assert_eq!(drifted(100, 900, WHOLE, Duration::from_secs(2)), 500);
        assert_eq!(drifted(100, 900, WHOLE / 2, Duration::ZERO), 500);
        assert_eq!(drifted(100, 900, 0, Duration::ZERO), 900);
    }

    #[test]
    fn silence_counts_only_beside_somebody_who_speaks() {
        let of = |age, freshest| silence(Duration::from_secs(age), Duration::from_secs(freshest));
        assert_eq!(of(3, 0), Duration::ZERO);
        assert_eq!(of(63, 0), Duration::from_secs(60));
        assert_eq!(of(63, 61), Duration::ZERO);
    }

    #[test]
    fn extreme_loads_are_no_overflow() {
        let most = LoadReport {
            queued: u32::MAX,
            active: u32::MAX,
            prefill_backlog: u32::MAX,
            busy_milli: u32::MAX,
            ..LoadReport::default()
        };
        let curve = Curve::fit([(&most, WHOLE), (&LoadReport::default(), 1)].into_iter());
        let told = told(&most, Duration::MAX, &curve, curve.slowness(&most, 1), u64::MAX / 2);
        assert_eq!(told.next, micros_of(FORGOTTEN));
        assert!(drifted(told.next, told.next, WHOLE, Duration::MAX) <= told.next);
    }
}
