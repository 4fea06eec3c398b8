//! Power over the clock: it is learnt, and it always grows.

use helixflow_model::{MilliWatts, Permille, Sensed};
use proptest::prelude::*;

use super::*;

fn curve() -> PowerCurve {
    PowerCurve::new(BoardLimits { power_most: Some(MilliWatts(700_000)), ..BoardLimits::default() })
}

fn reading(watts: f64, busy: u16) -> BoardReading {
    BoardReading {
        power: Sensed::Live(MilliWatts((watts * 1000.0) as u32)),
        utilization: Sensed::Live(Permille(busy)),
        ..BoardReading::default()
    }
}

/// A board that draws 90 W idle, and 560 W more at work and the highest clock.
fn drawn(share: f64) -> f64 {
    90.0 + 560.0 * (0.2 * share + 0.8 * share * share * share)
}

#[test]
fn the_curve_is_learnt_from_clocks_that_were_seen() {
    let mut curve = curve();
    for second in 0..3600 {
        let (share, busy) = [(1.0, 1000), (0.8, 1000), (0.6, 1000), (0.3, 0)][second / 20 % 4];
        let watts = if busy > 0 { drawn(share) } else { 90.0 };
        curve.see(&reading(watts, busy), share, 1.0);
        curve.learn();
    }
    for _ in 0..30 {
        curve.see(&reading(drawn(0.7), 1000), 0.7, 1.0);
    }
    for share in [0.5, 0.7, 0.9, 1.0] {
        let (expected, told) = (drawn(share), curve.at(share));
        assert!((told - expected).abs() < 0.05 * expected, "at {share}: {told} W for {expected} W");
    }
}

/// Found in a simulated fleet: a fan failed after half an hour of steady work, and as the whole draw counted as drawn at
/// rest by then, the governor sought a clock low enough down to the lowest.
#[test]
fn steady_work_at_one_clock_is_not_taken_for_what_is_drawn_at_rest() {
    let mut curve = curve();
    // Prompts draw more than tokens do in less of the time.
    for n in 0..4000 {
        let (watts, busy) = [(640.0, 700), (560.0, 1000), (580.0, 1000), (600.0, 1000)][n % 4];
        curve.see(&reading(watts, busy), 1.0, 0.5);
        curve.learn();
    }
    assert!((curve.at(1.0) - 600.0).abs() < 100.0, "{} W", curve.at(1.0));
    assert!(curve.at(0.3) < 400.0, "{} W", curve.at(0.3));
}

#[test]
fn power_that_lags_behind_a_lowered_clock_is_not_taken_for_more_work() {
    let mut curve = curve();
    for _ in 0..100 {
        curve.see(&reading(drawn(1.0), 1000), 1.0, 0.1);
    }
    let before = curve.at(1.0);
    curve.see(&reading(drawn(1.0), 1000), 0.6, 0.1);
    assert!(curve.at(1.0) < 1.05 * before, "{} W after {before} W", curve.at(1.0));
}

#[test]
fn without_a_power_sensor_utilisation_stands_for_it() {
    let mut curve = curve();
    let silent = |busy| BoardReading { power: Sensed::Unsupported, ..reading(0.0, busy) };
    let idle = curve.see(&silent(0), 1.0, 1.0);
    let half = curve.see(&silent(500), 1.0, 1.0);
    let full = curve.see(&silent(1000), 1.0, 1.0);
    assert!(idle < half && half < full && (full - 700.0).abs() < 1.0, "{idle} {half} {full}");
}

proptest! {
    #[test]
    fn power_grows_with_the_clock_whatever_was_read(
        readings in prop::collection::vec((0f64..5000.0, 0u16..=1000, 0.02f64..1.0, 0f64..10.0), 1..100),
        lower in 0f64..=1.0,
        higher in 0f64..=1.0,
    ) {
        let mut curve = curve();
        for (watts, busy, share, step) in readings {
            curve.see(&reading(watts, busy), share, step);
            curve.learn();
        }
        let (less, more) = (curve.at(lower.min(higher)), curve.at(lower.max(higher)));
        prop_assert!(less <= more && less > 0.0 && more <= MOST_BELIEVED);
    }
}
