//! Unsupported, missing and frozen, told apart.

use helixflow_model::{MilliWatts, Permille};
use proptest::prelude::*;

use super::*;

const LIMITS: BoardLimits = BoardLimits {
    operating: None,
    slowdown: None,
    shutdown: None,
    memory: None,
    power_least: None,
    power_most: Some(MilliWatts(700_000)),
    clock_least: None,
    clock_most: None,
};

fn reading(core: i32, watts: u32) -> BoardReading {
    BoardReading {
        core: Sensed::Live(MilliCelsius(core * 1000)),
        power: Sensed::Live(MilliWatts(watts * 1000)),
        ..BoardReading::default()
    }
}

/// What becomes of the die's temperature after each of these readings, a second apart.
fn after(readings: impl IntoIterator<Item = BoardReading>) -> Vec<Sensed<MilliCelsius>> {
    let mut sensing = Sensing::new(LIMITS);
    let seconds = (0..).map(Duration::from_secs);
    readings.into_iter().zip(seconds).map(|(reading, now)| sensing.take(reading, now).core).collect()
}

#[test]
fn an_error_of_a_sensor_that_never_worked_means_that_there_is_none() {
    let mut sensing = Sensing::new(LIMITS);
    let raw = BoardReading { fan: Sensed::Missing, ..reading(50, 300) };
    assert_eq!(sensing.take(raw, Duration::ZERO).fan, Sensed::Unsupported);
}

#[test]
fn a_sensor_that_worked_and_is_silent_is_missing_however_the_device_puts_it() {
    let mut sensing = Sensing::new(LIMITS);
    let raw = BoardReading { fan: Sensed::Live(Permille(400)), ..reading(50, 300) };
    sensing.take(raw, Duration::ZERO);
    for silent in [Sensed::Missing, Sensed::Unsupported] {
        let raw = BoardReading { fan: silent, core: Sensed::Missing, ..reading(50, 300) };
        let judged = sensing.take(raw, Duration::from_secs(1));
        assert_eq!(judged.fan, Sensed::Missing);
        assert!(judged.is_blind());
    }
}

#[test]
fn a_temperature_that_stands_still_while_the_power_has_moved_is_frozen() {
    let states = after((0..20).map(|_| reading(60, 200)).chain((0..60).map(|_| reading(60, 600))));
    assert!(states[..45].iter().all(|state| !state.is_faulty()));
    assert!(states[60..].iter().all(|state| *state == Sensed::Frozen(MilliCelsius(60_000))));
}

#[test]
fn a_frozen_temperature_that_moves_again_is_believed_again() {
    let stuck = (0..20).map(|_| reading(60, 200)).chain((0..60).map(|_| reading(60, 600)));
    let states = after(stuck.chain([reading(75, 600), reading(76, 600)]));
    assert_eq!(states.last(), Some(&Sensed::Live(MilliCelsius(76_000))));
}

#[test]
fn a_steady_board_with_a_whole_degree_sensor_is_not_frozen() {
    let states = after((0..7200).map(|n| reading(60, 500 + 40 * (n / 7 % 2))));
    assert!(states.iter().all(|state| !state.is_faulty()));
}

#[test]
fn a_board_that_gives_up_power_over_an_hour_to_stay_at_its_limit_is_not_frozen() {
    let states = after((0..3600).map(|n| reading(84, 700 - n / 12)));
    assert!(states.iter().all(|state| !state.is_faulty()));
}

#[test]
fn without_a_power_sensor_nothing_is_called_frozen() {
    let unpowered = BoardReading { power: Sensed::Unsupported, ..reading(60, 0) };
    assert!(after(vec![unpowered; 600]).iter().all(|state| !state.is_faulty()));
}

#[test]
fn a_gap_between_two_readings_is_no_proof_that_the_value_stood_still_meanwhile() {
    let mut sensing = Sensing::new(LIMITS);
    for (raw, second) in [(reading(60, 200), 0), (reading(60, 600), 60), (reading(60, 600), 61)] {
        let core = sensing.take(raw, Duration::from_secs(second)).core;
        assert!(!core.is_faulty(), "after {second} s");
    }
}

#[test]
fn a_hotter_value_of_a_frozen_sensor_is_not_trusted_less_than_the_one_that_it_is_stuck_at() {
    let mut sensing = Sensing::new(LIMITS);
    let stuck = (0..20).map(|_| reading(60, 200)).chain((0..60).map(|_| reading(60, 600)));
    for (raw, n) in stuck.zip(0..) {
        sensing.take(raw, Duration::from_secs(n));
    }
    let states = [60, 75].map(|core| sensing.clone().take(reading(core, 600), Duration::from_secs(80)).core);
    assert!(states.iter().all(Sensed::is_faulty), "{states:?}");
}

proptest! {
    /// Whether a value is trusted hangs on the readings before it, never on the value: so a hotter one is never trusted
    /// less than a cooler one.
    #[test]
    fn whether_a_value_is_frozen_does_not_hang_on_the_value(
        past in prop::collection::vec((58i32..62, 100u32..700), 1..120),
        cooler in 0i32..100,
        hotter in 0i32..100,
    ) {
        let mut sensing = Sensing::new(LIMITS);
        for (n, (core, watts)) in (0..).zip(&past) {
            sensing.take(reading(*core, *watts), Duration::from_secs(n));
        }
        let now = Duration::from_secs(past.len() as u64);
        let states = [cooler, hotter].map(|core| sensing.clone().take(reading(core, 400), now).core.is_faulty());
        prop_assert_eq!(states[0], states[1]);
    }
}
