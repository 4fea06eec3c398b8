//! Bands: up at once, down after a dwell, and seldom to and fro.

use helixflow_model::{BoardLimits, BoardReading, MilliCelsius, Sensed};
use proptest::prelude::*;

use super::*;

/// The most changes of band in an hour, whatever is felt. Every way down takes a dwell, which doubles when a band is
/// climbed again soon: three ways down of 15 s each, three of 30 s, and so on, take 23 minutes up to the longest; then
/// three take 24 minutes. That is 15 and 5 more, with the 8 climbs between them, and one before.
const FLIPS_AN_HOUR: usize = 30;

const LIMITS: BoardLimits = BoardLimits {
    operating: Some(MilliCelsius(87_000)),
    slowdown: Some(MilliCelsius(89_000)),
    shutdown: None,
    memory: None,
    power_least: None,
    power_most: None,
    clock_least: None,
    clock_most: None,
};

/// A board's bands and its clock.
struct Felt {
    thermal: Thermal,
    bands: Bands,
    now: Duration,
}

impl Felt {
    fn new() -> Self {
        Self { thermal: Thermal::new(LIMITS), bands: Bands::default(), now: Duration::ZERO }
    }

    fn read(&mut self, reading: &BoardReading, pause: Duration) -> Band {
        self.now += pause;
        self.thermal.see(reading, None, self.now);
        let band = self.bands.take(&self.thermal, self.now);
        self.thermal.learn();
        band
    }

    fn at(&mut self, degrees: i32, pause: Duration) -> Band {
        let core = Sensed::Live(MilliCelsius(degrees * 1000));
        self.read(&BoardReading { core, ..BoardReading::default() }, pause)
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_jump_of_the_temperature_shows_in_the_first_reading_after_it() {
    let mut felt = Felt::new();
    assert_eq!(felt.at(50, SECOND), Band::Cool);
    for (degrees, band) in [(80, Band::Warm), (88, Band::Hot), (92, Band::Critical)] {
        assert_eq!(felt.at(degrees, Duration::from_millis(100)), band);
    }
}

#[test]
fn the_flicker_of_a_sensor_at_the_firmwares_limit_is_hot_and_not_critical() {
    let mut felt = Felt::new();
    felt.at(84, SECOND);
    let bands = (0..600).map(|n| felt.at(if n % 3 == 0 { 88 } else { 87 }, Duration::from_millis(100)));
    assert!(bands.skip(1).all(|band| band == Band::Hot));
}

#[test]
fn a_band_is_left_one_at_a_time_and_only_after_its_dwell() {
    let mut felt = Felt::new();
    felt.at(95, SECOND);
    let mut bands = vec![Band::Critical];
    let mut at = vec![];
    for second in 0..120 {
        let band = felt.at(40, SECOND);
        if bands.last() != Some(&band) {
            bands.push(band);
            at.push(second);
        }
    }
    assert_eq!(bands, [Band::Critical, Band::Hot, Band::Warm, Band::Cool]);
    assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= 15) && at[0] >= 15, "{at:?}");
}

#[test]
fn heat_that_holds_the_clock_down_makes_hot_and_the_hardwares_own_makes_critical() {
    let held = |reasons| BoardReading { reasons: Sensed::Live(reasons), ..BoardReading::default() };
    assert_eq!(Felt::new().read(&held(ClockReasons::SOFTWARE_THERMAL), SECOND), Band::Hot);
    assert_eq!(Felt::new().read(&held(ClockReasons::HARDWARE_THERMAL), SECOND), Band::Critical);
    assert_eq!(Felt::new().read(&held(ClockReasons::POWER_CAP), SECOND), Band::Cool);
}

#[test]
fn a_temperature_that_cannot_be_told_any_more_counts_as_hot() {
    let lost = |core| BoardReading { core, ..BoardReading::default() };
    assert_eq!(Felt::new().read(&lost(Sensed::Missing), SECOND), Band::Hot);
    assert_eq!(Felt::new().read(&lost(Sensed::Frozen(MilliCelsius(30_000))), SECOND), Band::Hot);
    assert_eq!(Felt::new().read(&lost(Sensed::Unsupported), SECOND), Band::Cool);
}

#[test]
fn nothing_is_eased_while_a_sensor_is_silent() {
    let mut felt = Felt::new();
    felt.at(92, SECOND);
    let cool = Sensed::Live(MilliCelsius(40_000));
    for blind in [
        BoardReading { core: Sensed::Missing, ..BoardReading::default() },
        BoardReading { core: cool, memory: Sensed::Missing, ..BoardReading::default() },
    ] {
        for _ in 0..600 {
            assert_eq!(felt.read(&blind, SECOND), Band::Critical);
        }
    }
    let bands = (0..=15).map(|_| felt.at(40, SECOND)).collect::<Vec<_>>();
    assert_eq!(bands.iter().filter(|band| **band == Band::Critical).count(), 15, "{bands:?}");
}

#[test]
fn a_gap_between_two_readings_is_no_dwell() {
    let mut felt = Felt::new();
    felt.at(95, SECOND);
    felt.at(40, SECOND);
    assert_eq!(felt.at(40, SECOND * 600), Band::Critical);
}

#[test]
fn the_worst_swing_of_heat_keeps_to_the_bound_on_flips() {
    // As hot as can be the moment a band is left, and cold otherwise: nothing flips more often.
    let mut felt = Felt::new();
    let mut flips = 0;
    let mut band = Band::Cool;
    for _ in 0..3600 {
        let before = band;
        band = felt.at(if band == Band::Cool { 100 } else { 20 }, SECOND);
        flips += usize::from(band != before);
    }
    assert!((15..=FLIPS_AN_HOUR).contains(&flips), "{flips}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_hour_of_any_heat_holds_more_flips_than_the_bound(
        stretches in prop::collection::vec((20i32..100, 1u64..400), 1..200),
    ) {
        let mut felt = Felt::new();
        let mut flips: Vec<Duration> = Vec::new();
        let mut band = Band::Cool;
        for (degrees, seconds) in stretches {
            for _ in 0..seconds {
                let next = felt.at(degrees, SECOND);
                if next != band {
                    flips.push(felt.now);
                }
                band = next;
            }
        }
        let within = |first: &Duration| flips.iter().filter(|at| *at >= first && **at - *first < SECOND * 3600).count();
        prop_assert!(flips.iter().map(within).max().unwrap_or(0) <= FLIPS_AN_HOUR);
    }
}
