//! How often a board is read.

use std::time::Duration;

use helixflow_control::{BoardControl, Driver, Judged};
use helixflow_model::{BoardLimits, BoardReading, ClockControl, MilliCelsius, Permille, Sensed};

fn reading(core: i32, busy: u16) -> BoardReading {
    BoardReading {
        core: Sensed::Live(MilliCelsius(core * 1000)),
        utilization: Sensed::Live(Permille(busy)),
        ..BoardReading::default()
    }
}

/// The pause after each of these readings.
fn pauses(readings: impl IntoIterator<Item = BoardReading>) -> Vec<u128> {
    let mut control = BoardControl::new(BoardLimits::default(), ClockControl::MonitorOnly);
    let mut now = Duration::ZERO;
    let mut take = |reading| {
        let Judged { next_read, .. } = control.take(Some(reading), Driver::Sound, now);
        now += next_read;
        next_read.as_millis()
    };
    readings.into_iter().map(&mut take).collect()
}

#[test]
fn a_cool_idle_board_is_read_once_a_second() {
    assert_eq!(pauses((0..20).map(|n| reading(35 + n % 2, 0))), [1000; 20]);
}

#[test]
fn a_busy_a_warm_and_a_changing_board_are_read_ten_times_a_second() {
    assert_eq!(pauses([reading(35, 500)]), [100]);
    assert_eq!(pauses([reading(80, 0)]), [100]);
    assert_eq!(pauses([reading(35, 0), reading(38, 0)]), [1000, 100]);
}

#[test]
fn the_fast_pace_outlasts_a_burst_by_seconds_only() {
    let pauses = pauses((0..60).map(|n| reading(40, if n == 0 { 800 } else { 0 })));
    assert_eq!(pauses[..50], [100; 50]);
    assert_eq!(pauses[50..], [1000; 10]);
}
