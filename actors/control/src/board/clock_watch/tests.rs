//! Whose hand is on the clock.

use helixflow_model::{Permille, Sensed};

use super::*;

const LIMIT: Option<MegaHertz> = Some(MegaHertz(1500));
const NONE: ClockReasons = ClockReasons(0);

fn reading(busy: u16, clock: u32, reasons: ClockReasons) -> BoardReading {
    BoardReading {
        utilization: Sensed::Live(Permille(busy)),
        core_clock: Sensed::Live(MegaHertz(clock)),
        reasons: Sensed::Live(reasons),
        ..BoardReading::default()
    }
}

/// A watch on a board that was just given an order.
fn watch() -> ClockWatch {
    let mut watch = ClockWatch::new(ClockControl::Governed);
    watch.ordered(Duration::ZERO);
    watch
}

/// Who decides after `reading` was seen ten times a second from `from` for `time`.
fn after(
    watch: &mut ClockWatch,
    reading: &BoardReading,
    limit: Option<MegaHertz>,
    from: Duration,
    time: Duration,
) -> ClockControl {
    let mut now = from;
    while now <= from + time {
        watch.take(reading, limit, now);
        now += Duration::from_millis(100);
    }
    watch.control()
}

#[test]
fn a_clock_above_our_limit_under_work_is_anothers() {
    let above = reading(900, 1980, NONE);
    let mut watch = watch();
    assert_eq!(after(&mut watch, &above, LIMIT, Duration::ZERO, SETTLES), ClockControl::Governed);
    assert_eq!(after(&mut watch, &above, LIMIT, SETTLES, LASTS), ClockControl::Foreign);
}

#[test]
fn the_clock_of_a_board_that_is_held_by_its_power_limit_shows_nothing() {
    let minute = Duration::from_secs(60);
    for seen in [reading(900, 1980, NONE), reading(900, 1200, ClockReasons::REQUESTED)] {
        let mut watch = watch();
        watch.held(HeldBy::Power);
        assert_eq!(after(&mut watch, &seen, LIMIT, SETTLES, minute), ClockControl::Governed);
        watch.held(HeldBy::Clock);
        assert_eq!(after(&mut watch, &seen, LIMIT, SETTLES + minute, LASTS), ClockControl::Foreign);
    }
    let mut watch = watch();
    watch.held(HeldBy::Power);
    let held = reading(900, 1200, ClockReasons::REQUESTED);
    assert_eq!(after(&mut watch, &held, None, SETTLES, LASTS), ClockControl::Foreign, "we ask for nothing");
}

#[test]
fn a_limit_while_we_ask_for_none_is_anothers() {
    let held = reading(900, 1200, ClockReasons::REQUESTED);
    assert_eq!(after(&mut watch(), &held, None, SETTLES, LASTS), ClockControl::Foreign);
}

#[test]
fn a_clock_far_below_our_limit_by_request_alone_is_anothers() {
    let held = reading(900, 1200, ClockReasons::REQUESTED);
    assert_eq!(after(&mut watch(), &held, LIMIT, SETTLES, LASTS), ClockControl::Foreign);
    let capped = reading(900, 1200, ClockReasons::REQUESTED.with(ClockReasons::POWER_CAP));
    assert_eq!(after(&mut watch(), &capped, LIMIT, SETTLES, LASTS * 10), ClockControl::Governed);
}

#[test]
fn an_idle_board_a_moment_or_a_rounded_clock_shows_nothing() {
    let minute = Duration::from_secs(60);
    for harmless in [reading(0, 1980, NONE), reading(900, 1515, ClockReasons::REQUESTED)] {
        assert_eq!(after(&mut watch(), &harmless, LIMIT, SETTLES, minute), ClockControl::Governed);
    }
    let mut watch = watch();
    let (above, well) = (reading(900, 1980, NONE), reading(900, 1500, ClockReasons::REQUESTED));
    for n in 0..30 {
        let seen = if n % 2 == 0 { &above } else { &well };
        let from = SETTLES + Duration::from_secs(2) * n;
        assert_eq!(after(&mut watch, seen, LIMIT, from, Duration::from_secs(1)), ClockControl::Governed);
    }
}

#[test]
fn what_was_shown_before_readings_ceased_is_forgotten() {
    let above = reading(900, 1980, NONE);
    let (mut watch, moment) = (watch(), LASTS / 2);
    after(&mut watch, &above, LIMIT, SETTLES, moment);
    assert!(watch.suspects(SETTLES + moment) && !watch.suspects(SETTLES + moment + LASTS));
    let later = SETTLES + Duration::from_secs(60);
    assert_eq!(after(&mut watch, &above, LIMIT, later, moment), ClockControl::Governed);
}

#[test]
fn a_late_reading_now_and_then_hides_nobodys_hand() {
    let above = reading(900, 1980, NONE);
    let (mut watch, second) = (watch(), Duration::from_secs(1));
    let seen = (0..).map(|n| SETTLES + second * n).find(|now| {
        watch.take(&above, LIMIT, *now);
        assert!(watch.control() == ClockControl::Foreign || watch.suspects(*now + second));
        watch.control() == ClockControl::Foreign
    });
    assert_eq!(seen, Some(SETTLES + LASTS));
}

#[test]
fn a_clock_that_is_held_down_as_we_begin_is_not_set_before_it_is_known_by_whom() {
    let held = reading(900, 1200, ClockReasons::REQUESTED);
    let mut watch = watch();
    watch.take(&held, None, Duration::ZERO);
    assert!(watch.suspects(Duration::ZERO));
    watch.take(&reading(900, 1980, NONE), None, Duration::ZERO);
    assert!(!watch.suspects(Duration::ZERO));
}

/// A watch that has noticed another hand, and when.
fn noticed() -> (ClockWatch, Duration) {
    let mut watch = watch();
    let at = SETTLES + LASTS;
    after(&mut watch, &reading(900, 1980, NONE), LIMIT, SETTLES, LASTS);
    assert_eq!(watch.control(), ClockControl::Foreign);
    (watch, at)
}

#[test]
fn another_try_is_made_after_a_long_rest_that_doubles() {
    let (mut watch, at) = noticed();
    let free = reading(900, 1980, NONE);
    watch.take(&free, None, at + REST - Duration::from_secs(1));
    assert_eq!(watch.control(), ClockControl::Foreign);
    let again = at + REST;
    watch.take(&free, None, again);
    assert_eq!(watch.control(), ClockControl::Governed);
    watch.ordered(again);
    assert_eq!(after(&mut watch, &free, LIMIT, again + SETTLES, LASTS), ClockControl::Foreign);
    watch.take(&free, None, again + REST + REST / 2);
    assert_eq!(watch.control(), ClockControl::Foreign);
}

#[test]
fn anothers_limit_that_can_be_seen_is_left_alone_for_ever() {
    let (mut watch, at) = noticed();
    let held = reading(900, 1200, ClockReasons::REQUESTED);
    for hour in 1..100 {
        watch.take(&held, None, at + REST * hour);
        assert_eq!(watch.control(), ClockControl::Foreign);
    }
}

#[test]
fn a_refused_order_ends_all_orders() {
    let mut watch = watch();
    watch.refused();
    assert_eq!(watch.control(), ClockControl::MonitorOnly);
}
