//! Late readings, of one board and of all.

use std::time::Duration;

use helixflow_control::{BoardControl, Driver, Judged, READING_DEADLINE};
use helixflow_model::{Band, BoardLimits, BoardReading, ClockControl, Duty, MilliCelsius, Permille, Sensed};
use proptest::prelude::*;

/// A board and its clock.
struct Board {
    control: BoardControl,
    now: Duration,
}

impl Board {
    /// One that was read once, cool and at work.
    fn new() -> Self {
        let control = BoardControl::new(BoardLimits::default(), ClockControl::Governed);
        let mut board = Self { control, now: Duration::ZERO };
        board.read();
        board
    }

    fn take(&mut self, reading: Option<BoardReading>, driver: Driver) -> Judged {
        self.now += if reading.is_none() { READING_DEADLINE } else { Duration::ZERO };
        let judged = self.control.take(reading, driver, self.now);
        self.now += judged.next_read;
        judged
    }

    fn read(&mut self) -> Judged {
        let reading = BoardReading {
            core: Sensed::Live(MilliCelsius(45_000)),
            utilization: Sensed::Live(Permille(900)),
            ..BoardReading::default()
        };
        self.take(Some(reading), Driver::Sound)
    }

    fn late(&mut self, driver: Driver) -> Judged {
        self.take(None, driver)
    }
}

#[test]
fn one_late_reading_costs_weight_and_nothing_else() {
    let mut board = Board::new();
    let standing = board.late(Driver::Sound).standing;
    assert!(standing.weight.0 < 1000);
    assert_eq!((standing.band, standing.duty), (Band::Cool, Duty::Full));
}

#[test]
fn a_board_whose_calls_block_is_fenced_within_two_seconds_and_counts_as_hot() {
    let mut board = Board::new();
    let since = board.now;
    while board.late(Driver::Sound).standing.duty < Duty::Quarantine {}
    assert!(board.now - since < Duration::from_secs(2), "{:?}", board.now - since);
    let standing = (0..20).map(|_| board.late(Driver::Sound).standing).last().unwrap();
    assert_eq!((standing.band, standing.duty), (Band::Hot, Duty::Quarantine));
}

#[test]
fn a_fenced_board_comes_back_through_probation_once_it_is_punctual() {
    let mut board = Board::new();
    for _ in 0..10 {
        board.late(Driver::Sound);
    }
    let mut duties = vec![Duty::Quarantine];
    while duties.last() != Some(&Duty::Full) && board.now < Duration::from_secs(3600) {
        let duty = board.read().standing.duty;
        if duties.last() != Some(&duty) {
            duties.push(duty);
        }
    }
    assert_eq!(duties, [Duty::Quarantine, Duty::Probation, Duty::Full]);
}

#[test]
fn the_last_reading_stands_while_readings_are_late_and_its_faults_are_told_once() {
    let mut board = Board::new();
    let fault = helixflow_model::FaultEvent { code: 13, count: 1 };
    let reading = BoardReading {
        core: Sensed::Live(MilliCelsius(50_000)),
        faults: vec![fault],
        ..BoardReading::default()
    };
    assert_eq!(board.take(Some(reading), Driver::Sound).reading.faults, [fault]);
    let late = board.late(Driver::Sound).reading;
    assert_eq!((late.core, late.faults), (Sensed::Live(MilliCelsius(50_000)), Vec::new()));
}

#[test]
fn nothing_is_eased_on_a_reading_of_before() {
    let mut board = Board::new();
    for core in [92_000, 45_000] {
        let core = Sensed::Live(MilliCelsius(core));
        board.take(Some(BoardReading { core, ..BoardReading::default() }), Driver::Sound);
    }
    let standing =
        (0..1000).map(|_| board.late(Driver::Suspect { progressing: true }).standing).last().unwrap();
    assert_eq!(standing.band, Band::Critical);
    while board.read().standing.band > Band::Cool {}
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn with_a_suspect_driver_a_board_that_decodes_is_never_fenced_and_one_that_does_not_is(lates in 10usize..200) {
        let [mut decoding, mut stuck] = [Board::new(), Board::new()];
        for _ in 0..lates {
            let judged = decoding.late(Driver::Suspect { progressing: true });
            prop_assert_eq!((judged.standing.duty, judged.standing.band), (Duty::Full, Band::Cool));
            prop_assert_eq!(judged.reading.core, Sensed::Live(MilliCelsius(45_000)));
            stuck.late(Driver::Suspect { progressing: false });
        }
        prop_assert_eq!(stuck.late(Driver::Suspect { progressing: false }).standing.duty, Duty::Quarantine);
        prop_assert_eq!(decoding.read().standing.duty, Duty::Full);
    }
}
