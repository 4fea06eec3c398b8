//! A hotter input never gives a higher clock, a milder band or a milder duty: in any state that any readings lead to.

use std::time::Duration;

use helixflow_control::{BoardControl, Driver, Judged};
use helixflow_model::{
    BoardLimits, BoardReading, ClockControl, ClockReasons, MegaHertz, MilliCelsius, MilliWatts, Permille,
    Sensed,
};
use proptest::prelude::*;

/// What one reading says, in whole units.
#[derive(Clone, Copy, Debug)]
struct Said {
    core: i32,
    memory: i32,
    margin: i32,
    watts: u32,
    clock: u32,
    busy: u16,
    reasons: u32,
    /// What is not said.
    silent: Silent,
    /// Milliseconds until the next.
    step: u64,
}

/// What a board may keep to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silent {
    Nothing,
    Utilization,
    Core,
    Memory,
    /// No reading comes, and whose fault that is.
    All(Driver),
}

impl Said {
    /// As the board tells it.
    fn told(&self) -> (Option<BoardReading>, Driver) {
        let reading = self.reading();
        match self.silent {
            Silent::Nothing => (Some(reading), Driver::Sound),
            Silent::Utilization => {
                (Some(BoardReading { utilization: Sensed::Unsupported, ..reading }), Driver::Sound)
            }
            Silent::Core => (Some(BoardReading { core: Sensed::Missing, ..reading }), Driver::Sound),
            Silent::Memory => (Some(BoardReading { memory: Sensed::Missing, ..reading }), Driver::Sound),
            Silent::All(driver) => (None, driver),
        }
    }

    fn reading(&self) -> BoardReading {
        let degrees = |value: i32| Sensed::Live(MilliCelsius(value * 1000));
        BoardReading {
            core: degrees(self.core),
            memory: degrees(self.memory),
            margin: degrees(self.margin),
            power: Sensed::Live(MilliWatts(self.watts * 1000)),
            core_clock: Sensed::Live(MegaHertz(self.clock)),
            utilization: Sensed::Live(Permille(self.busy)),
            reasons: Sensed::Live(ClockReasons(self.reasons)),
            ..BoardReading::default()
        }
    }
}

fn said() -> impl Strategy<Value = Said> {
    let reasons = prop_oneof![
        6 => Just(0), 1 => Just(ClockReasons::SOFTWARE_THERMAL.0), 1 => Just(ClockReasons::REQUESTED.0),
        1 => Just(ClockReasons::HARDWARE_THERMAL.0 | ClockReasons::HARDWARE_SLOWDOWN.0)
    ];
    let step = prop_oneof![4 => Just(100u64), 2 => 50u64..2_000, 1 => 2_000u64..120_000];
    let silent = prop_oneof![
        20 => Just(Silent::Nothing),
        2 => Just(Silent::Utilization),
        1 => Just(Silent::Core),
        1 => Just(Silent::Memory),
        1 => prop_oneof![
            Just(Driver::Sound),
            Just(Driver::Busy),
            any::<bool>().prop_map(|progressing| Driver::Suspect { progressing }),
        ]
        .prop_map(Silent::All),
    ];
    let temperatures = (prop_oneof![3 => 68i32..90, 1 => 20i32..110], 50i32..100, -5i32..40);
    (
        temperatures,
        50u32..700,
        210u32..1980,
        prop_oneof![Just(0u16), 0u16..=1000, Just(1000)],
        reasons,
        silent,
        step,
    )
        .prop_map(|((core, memory, margin), watts, clock, busy, reasons, silent, step)| Said {
            core,
            memory,
            margin,
            watts,
            clock,
            busy,
            reasons,
            silent,
            step,
        })
}

/// Long times of alike readings, so that fits, dwells and rests come to their ends.
fn history() -> impl Strategy<Value = Vec<Said>> {
    let stretch = (said(), 1usize..40).prop_map(|(said, times)| vec![said; times]);
    prop::collection::vec(stretch, 1..12).prop_map(|stretches| stretches.concat())
}

const LIMITS: BoardLimits = BoardLimits {
    operating: Some(MilliCelsius(87_000)),
    slowdown: Some(MilliCelsius(89_000)),
    shutdown: Some(MilliCelsius(95_000)),
    memory: Some(MilliCelsius(95_000)),
    power_least: Some(MilliWatts(200_000)),
    power_most: Some(MilliWatts(700_000)),
    clock_least: Some(MegaHertz(210)),
    clock_most: Some(MegaHertz(1980)),
};

/// A board after these readings, and the time then.
fn after(history: &[Said], limits: BoardLimits) -> (BoardControl, Duration) {
    let mut control = BoardControl::new(limits, ClockControl::Governed);
    let mut now = Duration::ZERO;
    for said in history {
        let (reading, driver) = said.told();
        control.take(reading, driver, now);
        now += Duration::from_millis(said.step);
    }
    (control, now)
}

/// The clock asked for; none is the highest.
fn clock(judged: &Judged) -> u32 {
    judged.standing.target_clock.map_or(u32::MAX, |clock| clock.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_hotter_reading_never_gives_a_higher_clock_a_milder_band_or_a_milder_duty(
        history in history(),
        last in said(),
        hotter in (0i32..40, 0i32..40, 0i32..40),
        blank in any::<bool>(),
    ) {
        let limits = if blank { BoardLimits { operating: None, slowdown: None, memory: None, ..LIMITS } } else { LIMITS };
        let (control, now) = after(&history, limits);
        let (core, memory, margin) = hotter;
        let hot = Said { core: last.core + core, memory: last.memory + memory, margin: last.margin - margin, ..last };
        let [cool, hot] = [last, hot].map(|said| {
            let (reading, driver) = said.told();
            control.clone().take(reading, driver, now)
        });
        prop_assert!(clock(&hot) <= clock(&cool), "clock {} over {}", clock(&hot), clock(&cool));
        prop_assert!(hot.standing.band >= cool.standing.band);
        prop_assert!(hot.standing.duty >= cool.standing.duty);
        prop_assert!(hot.standing.speed <= cool.standing.speed);
    }

    #[test]
    fn nothing_is_eased_by_a_reading_that_does_not_come_or_lacks_a_temperature(
        history in history(),
        last in said(),
        silent in prop_oneof![
            Just(Silent::Core), Just(Silent::Memory), Just(Silent::All(Driver::Sound)), Just(Silent::All(Driver::Busy)),
            Just(Silent::All(Driver::Suspect { progressing: true })),
        ],
    ) {
        let (mut control, now) = after(&history, LIMITS);
        let (reading, driver) = Said { silent: Silent::Nothing, ..last }.told();
        let before = control.take(reading, driver, now);
        let (reading, driver) = Said { silent, ..last }.told();
        let after = control.take(reading, driver, now + Duration::from_millis(last.step));
        // A clock that is somebody else's is no order of ours.
        prop_assert!(clock(&after) <= clock(&before) || after.standing.control != ClockControl::Governed);
        prop_assert!(after.standing.band >= before.standing.band);
    }
}
