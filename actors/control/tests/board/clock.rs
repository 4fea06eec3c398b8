//! Orders for the clock, and other hands on it.

use helixflow_control::{ClockOrder, Driver, HeldBy};
use helixflow_model::{ClockControl, MegaHertz, Sensed};

use crate::plant::{Make, Plant};
use crate::rig::{Heated, Rig};

/// A board that is governed because it is hot.
fn hot() -> Rig<Plant> {
    let mut rig = Rig::new(Plant::new(Make::USUAL, 50.0), ClockControl::Governed);
    let record = rig.run(600.0, |_| 1.0, |_| 50.0);
    let governed = record.judged.is_some_and(|judged| judged.standing.target_clock.is_some());
    assert!(record.orders > 0 && governed);
    rig
}

#[test]
fn a_board_that_may_not_be_set_gets_no_orders_and_says_so() {
    let mut rig = Rig::new(Plant::new(Make::USUAL, 50.0), ClockControl::MonitorOnly);
    let record = rig.run(600.0, |_| 1.0, |_| 50.0);
    let standing = record.judged.unwrap().standing;
    assert_eq!(
        (record.orders, standing.control, standing.target_clock),
        (0, ClockControl::MonitorOnly, None)
    );
    assert!(standing.speed.0 < 950, "the firmware holds it down, and that is to be expected: {standing:?}");
}

#[test]
fn a_refused_order_leaves_the_board_watched_only() {
    let mut rig = hot();
    rig.control.clock_refused();
    let record = rig.run(60.0, |_| 1.0, |_| 55.0);
    let standing = record.judged.unwrap().standing;
    assert_eq!(
        (record.orders, standing.control, standing.target_clock),
        (0, ClockControl::MonitorOnly, None)
    );
}

#[test]
fn a_board_that_is_held_by_its_power_limit_is_governed_whatever_its_clock_is() {
    for (by, control) in [(HeldBy::Power, ClockControl::Governed), (HeldBy::Clock, ClockControl::Foreign)] {
        let mut rig = hot();
        rig.control.clock_held(by);
        rig.blur = |reading| reading.core_clock = Sensed::Live(MegaHertz(1980));
        let record = rig.run(60.0, |_| 1.0, |_| 50.0);
        assert_eq!(record.judged.unwrap().standing.control, control);
    }
}

#[test]
fn a_limit_that_somebody_takes_away_is_not_set_again() {
    let mut rig = hot();
    rig.plant.order(ClockOrder::Release);
    let record = rig.run(60.0, |_| 1.0, |_| 50.0);
    assert_eq!(record.judged.unwrap().standing.control, ClockControl::Foreign);
    assert_eq!(rig.run(600.0, |_| 1.0, |_| 50.0).orders, 0);
}

#[test]
fn a_limit_that_somebody_sets_on_a_cool_board_is_not_fought() {
    let mut rig = Rig::new(Plant::new(Make::USUAL, 22.0), ClockControl::Governed);
    rig.run(60.0, |_| 1.0, |_| 22.0);
    rig.plant.order(ClockOrder::Limit(MegaHertz(1200)));
    let record = rig.run(7200.0, |_| 1.0, |_| 22.0);
    let standing = record.judged.unwrap().standing;
    assert_eq!((record.orders, standing.control), (0, ClockControl::Foreign));
    assert!(
        (700..800).contains(&standing.speed.0),
        "the speed to expect is that of their clock: {standing:?}"
    );
}

#[test]
fn what_the_clock_showed_before_readings_ceased_is_forgotten() {
    let mut rig = hot();
    rig.plant.order(ClockOrder::Release);
    rig.run(2.0, |_| 1.0, |_| 50.0);
    rig.now += std::time::Duration::from_secs(10);
    rig.control.take(None, Driver::Busy, rig.now);
    let standing = rig.run(2.0, |_| 1.0, |_| 50.0).judged.unwrap().standing;
    assert_eq!(standing.control, ClockControl::Governed);
}

#[test]
fn what_the_clock_shows_while_an_order_is_pending_is_nobodys_hand() {
    let mut rig = hot();
    rig.plant.order(ClockOrder::Release);
    for _ in 0..600 {
        rig.control.clock_pending(rig.now);
        assert_eq!(rig.step(1.0).standing.control, ClockControl::Governed);
    }
}

#[test]
fn our_own_limits_are_never_taken_for_anothers() {
    for period in [20.0, 90.0, 400.0] {
        let mut rig = Rig::new(Plant::new(Make::USUAL, 45.0), ClockControl::Governed);
        let work = |at: f64| if ((at / period) as u64).is_multiple_of(2) { 1.0 } else { 0.1 };
        let record = rig.run(3600.0, work, |_| 45.0);
        assert!(record.orders > 2);
        assert_eq!(record.judged.unwrap().standing.control, ClockControl::Governed);
    }
}
