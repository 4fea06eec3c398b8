//! The governor on boards that get hot: under the limit wherever physics permits, with few turns, and at little cost.

use std::f64::consts::TAU;

use helixflow_model::{Band, ClockControl, Duty};
use helixflow_physics::{Board, Fault, H100_SXM, PRODUCTS, Parameters, Surroundings};
use proptest::prelude::*;

use crate::plant::{Make, Plant, SLOWDOWN};
use crate::rig::{Heated, Product, Rig};

/// The most changes of band in an hour of any heat; `thermal/bands.rs` counts them.
const FLIPS_AN_HOUR: usize = 30;

/// The most turns of the clock's direction in an hour: a way up begins 15 s after a step down at the earliest.
const TURNS_AN_HOUR: usize = 2 * 3600 / 15;

/// A simulated product in air of this inlet; `seed` varies the board and its sensors' noise.
fn product(parameters: Parameters, inlet: f64, memory_bound: f64, seed: u64) -> Product {
    let board = Board::new(parameters.varied(seed), Surroundings { inlet, fans: 1.0 }, seed);
    Product::new(board, memory_bound)
}

/// Whether a board keeps cool at its lowest clock, with a degree to spare for the rounding of its sensors.
fn physics_permits(mut product: Product, inlet: f64) -> bool {
    product.board.limit_clock(product.limits().clock_least);
    product.set_inlet(inlet);
    product.pass(std::time::Duration::from_secs(1200), 1.0);
    let limits = product.board.parameters().limits;
    product.board.die() < limits.operating - 4.0 && product.board.memory() < limits.memory - 4.0
}

/// Work that comes and goes: all of it, then a part, for so many seconds each.
fn bursts(seconds: f64, rest: f64) -> impl Fn(f64) -> f64 {
    move |at| if ((at / seconds) as u64).is_multiple_of(2) { 1.0 } else { rest }
}

#[test]
fn an_overheated_aisle_throttles_boards_alone_and_none_that_is_governed() {
    for parameters in PRODUCTS {
        let throttled = [ClockControl::MonitorOnly, ClockControl::Governed].map(|control| {
            let mut rig = Rig::new(product(parameters, 50.0, 0.5, 3), control);
            rig.run(1800.0, |_| 1.0, |at| 50.0 + 6.0 * (at / 600.0 * TAU).sin()).throttled
        });
        let [alone, governed] = throttled;
        assert!(alone > 60.0, "{}: {alone} s throttled, so this shows nothing", parameters.key);
        assert!(governed < 0.01 * alone, "{}: {governed} s throttled of {alone} s alone", parameters.key);
    }
}

#[test]
fn a_board_that_firmware_alone_holds_at_its_limit_is_hot_and_keeps_its_work() {
    for parameters in PRODUCTS {
        let product = product(parameters, 54.0, 0.6, 5);
        let record = Rig::new(product, ClockControl::MonitorOnly).run(3600.0, |_| 1.0, |_| 54.0);
        let standing = record.judged.unwrap().standing;
        assert!(record.throttled > 600.0, "{}: {} s throttled", parameters.key, record.throttled);
        assert!(record.bands.iter().all(|band| *band < Band::Critical), "{}", parameters.key);
        assert_eq!((standing.band, standing.duty), (Band::Hot, Duty::NoNewShards), "{}", parameters.key);
    }
}

#[test]
fn little_speed_is_lost_against_the_firmware_that_lets_the_board_throttle() {
    for parameters in PRODUCTS {
        let speed = [ClockControl::MonitorOnly, ClockControl::Governed].map(|control| {
            Rig::new(product(parameters, 46.0, 0.6, 5), control).run(1800.0, |_| 1.0, |_| 46.0).speed
        });
        let [alone, governed] = speed;
        assert!(governed > 0.95 * alone, "{}: {governed} of {alone}", parameters.key);
    }
}

#[test]
fn a_cool_board_is_left_alone() {
    let mut rig = Rig::new(product(H100_SXM, 25.0, 0.5, 1), ClockControl::Governed);
    let record = rig.run(1800.0, bursts(30.0, 0.0), |_| 25.0);
    assert_eq!(record.orders, 0);
    let standing = record.judged.unwrap().standing;
    assert_eq!((standing.band, standing.duty, standing.speed.0), (Band::Cool, Duty::Full, 1000));
}

#[test]
fn the_whole_clock_comes_back_once_the_heat_is_over() {
    let mut rig = Rig::new(Plant::new(Make::USUAL, 50.0), ClockControl::Governed);
    let hot = rig.run(900.0, |_| 1.0, |_| 50.0);
    assert!(hot.judged.unwrap().standing.target_clock.is_some());
    let cool = rig.run(600.0, |_| 1.0, |_| 22.0);
    let standing = cool.judged.unwrap().standing;
    assert_eq!((standing.target_clock, standing.speed.0), (None, 1000));
}

#[test]
fn a_failed_fan_lowers_the_clock_before_the_board_throttles() {
    let mut rig = Rig::new(product(H100_SXM, 25.0, 0.5, 9), ClockControl::Governed);
    rig.run(600.0, |_| 1.0, |_| 25.0);
    rig.plant.board.put_on(Fault::FailedFan);
    let record = rig.run(900.0, |_| 1.0, |_| 25.0);
    assert!(record.throttled < 1.0, "{} s throttled", record.throttled);
    assert!(record.judged.unwrap().standing.speed.0 < 900);
}

#[test]
fn hot_memory_under_a_cool_core_is_governed_too() {
    let mut rig = Rig::new(product(H100_SXM, 30.0, 0.7, 9), ClockControl::Governed);
    rig.run(300.0, |_| 1.0, |_| 30.0);
    rig.plant.board.put_on(Fault::HotMemory);
    let record = rig.run(1200.0, |_| 1.0, |_| 30.0);
    let limits = rig.plant.board.parameters().limits;
    let standing = record.judged.unwrap().standing;
    assert!(rig.plant.board.die() < limits.operating - 10.0, "the core is not cool");
    let governed = standing.target_clock.is_some() || standing.band >= Band::Warm;
    assert!(governed && record.halved == 0.0, "{standing:?}");
}

#[test]
fn without_power_clock_or_utilisation_the_temperature_alone_keeps_a_board_from_the_slowdown() {
    let blurs: [fn(&mut helixflow_model::BoardReading); 2] = [
        |reading| reading.power = helixflow_model::Sensed::Unsupported,
        |reading| {
            reading.power = helixflow_model::Sensed::Unsupported;
            reading.core_clock = helixflow_model::Sensed::Unsupported;
            reading.utilization = helixflow_model::Sensed::Unsupported;
            reading.reasons = helixflow_model::Sensed::Unsupported;
        },
    ];
    for blur in blurs {
        let mut rig = Rig::new(Plant::new(Make::USUAL, 50.0), ClockControl::Governed);
        rig.blur = blur;
        let record = rig.run(3600.0, bursts(120.0, 0.3), |at| 45.0 + 6.0 * (at / 900.0 * TAU).sin());
        assert!(record.hottest < SLOWDOWN && record.throttled < 36.0, "{} s", record.throttled);
        assert!(record.speed > 0.6, "{}", record.speed);
    }
}

/// Work and air that swing.
#[derive(Clone, Copy, Debug)]
struct Swing {
    inlet: f64,
    by: f64,
    period: f64,
    burst: f64,
    rest: f64,
}

fn swings() -> impl Strategy<Value = Swing> {
    (15f64..52.0, 0f64..12.0, 60f64..1800.0, 5f64..300.0, 0f64..1.0)
        .prop_map(|(inlet, by, period, burst, rest)| Swing { inlet, by, period, burst, rest })
}

fn makes() -> impl Strategy<Value = Make> {
    (60f64..1000.0, 8f64..32.0, 15f64..38.0, 1.5f64..10.0, 20f64..150.0, 0f64..1.0, any::<u64>()).prop_map(
        |(watts, die_rise, sink_rise, die_seconds, sink_seconds, linear, seed)| Make {
            watts,
            die_rise,
            sink_rise,
            die_seconds,
            sink_seconds,
            linear,
            seed,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Also the bounds on flips and turns, under sinusoidal heat.
    #[test]
    fn products_stay_under_the_slowdown_wherever_physics_permits(
        which in 0usize..PRODUCTS.len(), swing in swings(), memory_bound in 0.1f64..0.9, seed: u64,
    ) {
        let product = product(PRODUCTS[which], swing.inlet, memory_bound, seed);
        prop_assume!(physics_permits(product.clone(), swing.inlet + swing.by));
        let mut rig = Rig::new(product, ClockControl::Governed);
        let inlet = |at: f64| swing.inlet + swing.by * (at / swing.period * TAU).sin();
        let record = rig.run(3600.0, bursts(swing.burst, swing.rest), inlet);
        prop_assert!(record.halved == 0.0 && record.throttled < 18.0, "{} s throttled", record.throttled);
        prop_assert!(record.flips() <= FLIPS_AN_HOUR && record.turns <= TURNS_AN_HOUR);
    }

    #[test]
    fn boards_of_other_makes_stay_under_the_slowdown_wherever_physics_permits(
        make in makes(), swing in swings(),
    ) {
        let plant = Plant::new(make, swing.inlet);
        prop_assume!(plant.coolest(swing.inlet + swing.by) < SLOWDOWN - 6.0);
        let mut rig = Rig::new(plant, ClockControl::Governed);
        let inlet = |at: f64| swing.inlet + swing.by * (at / swing.period * TAU).sin();
        let record = rig.run(3600.0, bursts(swing.burst, swing.rest), inlet);
        prop_assert!(record.halved == 0.0 && record.throttled < 18.0, "{} s throttled", record.throttled);
        prop_assert!(record.flips() <= FLIPS_AN_HOUR && record.turns <= TURNS_AN_HOUR);
    }
}
