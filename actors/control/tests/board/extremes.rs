//! Readings that no board gives: nothing overflows, nothing is unbounded, nothing is lost for good.

use std::time::Duration;

use helixflow_control::{BoardControl, Driver};
use helixflow_model::{
    BoardLimits, BoardReading, Bytes, ClockControl, ClockReasons, DeviceId, DeviceReading, EccErrors,
    FaultEvent, MegaHertz, MilliCelsius, MilliWatts, Partition, PcieLink, Permille, RowRemapping, Sensed,
};
use proptest::prelude::*;

fn sensed<T: Clone + std::fmt::Debug>(value: impl Strategy<Value = T> + 'static) -> BoxedStrategy<Sensed<T>> {
    let states = (value, 0u8..8);
    let state = |(value, which)| match which {
        0 => Sensed::Unsupported,
        1 => Sensed::Missing,
        2 => Sensed::Frozen(value),
        _ => Sensed::Live(value),
    };
    states.prop_map(state).boxed()
}

fn temperature() -> BoxedStrategy<Sensed<MilliCelsius>> {
    sensed(any::<i32>().prop_map(MilliCelsius))
}

fn readings() -> impl Strategy<Value = BoardReading> {
    let heat = (temperature(), temperature(), temperature());
    let watts = || sensed(any::<u32>().prop_map(MilliWatts));
    let clock = || sensed(any::<u32>().prop_map(MegaHertz));
    let share = sensed(any::<u16>().prop_map(Permille));
    let ecc =
        sensed(any::<(u64, u64)>().prop_map(|(corrected, uncorrected)| EccErrors { corrected, uncorrected }));
    let faults =
        prop::collection::vec(any::<(u32, u32)>().prop_map(|(code, count)| FaultEvent { code, count }), 0..3);
    let electric = (watts(), watts(), clock(), clock(), share);
    (heat, electric, sensed(any::<u32>().prop_map(ClockReasons)), ecc, faults, any::<u32>()).prop_map(
        |(
            (core, memory, margin),
            (power, power_limit, core_clock, memory_clock, share),
            reasons,
            ecc,
            faults,
            replays,
        )| {
            BoardReading {
                core,
                memory,
                margin,
                power,
                power_limit,
                core_clock,
                memory_clock,
                utilization: share,
                fan: share,
                reasons,
                ecc,
                remapping: Sensed::Live(RowRemapping {
                    pending: replays % 3 == 0,
                    ..RowRemapping::default()
                }),
                pcie: Sensed::Live(PcieLink { generation: 5, width: 16, replays }),
                faults,
                devices: Vec::new(),
            }
        },
    )
}

fn attempts() -> impl Strategy<Value = Option<BoardReading>> {
    prop::option::weighted(0.8, readings())
}

fn drivers() -> impl Strategy<Value = Driver> {
    prop_oneof![3 => Just(Driver::Sound), 1 => any::<bool>().prop_map(|progressing| Driver::Suspect { progressing })]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_board_says_the_judgement_is_within_bounds(
        most in any::<[Option<u32>; 4]>(),
        heat in any::<[Option<i32>; 3]>(),
        attempts in prop::collection::vec((attempts(), drivers(), any::<u32>()), 1..80),
    ) {
        let degrees = |value: Option<i32>| value.map(MilliCelsius);
        let limits = BoardLimits {
            operating: degrees(heat[0]),
            slowdown: degrees(heat[1]),
            shutdown: None,
            memory: degrees(heat[2]),
            power_least: most[0].map(MilliWatts),
            power_most: most[1].map(MilliWatts),
            clock_least: most[2].map(MegaHertz),
            clock_most: most[3].map(MegaHertz),
        };
        let mut control = BoardControl::new(limits, ClockControl::Governed);
        let mut now = Duration::ZERO;
        for (reading, driver, step) in attempts {
            let standing = control.take(reading, driver, now).standing;
            prop_assert!(standing.speed.0 <= 1000 && (100..=1000).contains(&standing.weight.0));
            let bounded = |value: Option<MilliCelsius>| value.is_none_or(|at| at.0.abs() <= 200_000);
            prop_assert!(bounded(standing.forecast) && bounded(standing.headroom), "{standing:?}");
            now = now.saturating_add(Duration::from_millis(u64::from(step)));
        }
    }
}

#[test]
fn the_end_of_time_is_no_panic() {
    let mut control = BoardControl::new(BoardLimits::default(), ClockControl::Governed);
    for now in [Duration::MAX, Duration::ZERO, Duration::MAX] {
        control.take(Some(BoardReading::default()), Driver::Sound, now);
    }
}

#[test]
fn an_attempt_without_a_reading_keeps_the_memory_of_the_devices_on_the_board() {
    let device = DeviceReading {
        device: DeviceId::try_from("GPU-1".to_owned()).unwrap(),
        partition: Partition::Whole,
        memory_total: Bytes(80),
        memory_used: Bytes(8),
    };
    let reading = BoardReading { devices: vec![device.clone()], ..BoardReading::default() };
    let mut control = BoardControl::new(BoardLimits::default(), ClockControl::MonitorOnly);
    control.take(Some(reading), Driver::Sound, Duration::ZERO);
    let judged = control.take(None, Driver::Sound, Duration::from_secs(1));
    assert_eq!(judged.reading.devices, [device]);
}
