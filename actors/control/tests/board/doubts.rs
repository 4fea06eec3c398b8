//! Sensors that fail, stick or lie, and faults that the driver tells of.

use helixflow_model::{Band, ClockControl, Duty, Sensed};
use helixflow_physics::{Board, Fault, H100_SXM, Surroundings};

use crate::plant::{Make, Plant};
use crate::rig::{Product, Record, Rig};

fn h100(inlet: f64) -> Rig<Product> {
    let board = Board::new(H100_SXM, Surroundings { inlet, fans: 1.0 }, 4);
    Rig::new(Product::new(board, 0.5), ClockControl::Governed)
}

#[test]
fn a_sensor_that_stops_answering_makes_the_board_hot_and_lowers_its_clock() {
    let mut rig = Rig::new(Plant::new(Make::USUAL, 25.0), ClockControl::Governed);
    rig.run(60.0, |_| 1.0, |_| 25.0);
    rig.blur = |reading| reading.core = Sensed::Missing;
    let judged = rig.step(1.0);
    assert_eq!((judged.reading.core, judged.standing.band), (Sensed::Missing, Band::Hot));
    let standing = rig.run(10.0, |_| 1.0, |_| 25.0).judged.unwrap().standing;
    assert!(standing.target_clock.is_some_and(|clock| clock.0 < 1300), "{standing:?}");
}

#[test]
fn a_hot_board_whose_sensor_stops_answering_is_given_no_higher_clock() {
    let mut rig = Rig::new(Plant::new(Make::USUAL, 70.0), ClockControl::Governed);
    let governed = |record: Record| record.judged.unwrap().standing.target_clock.unwrap();
    let before = governed(rig.run(900.0, |_| 1.0, |_| 70.0));
    assert!(before.0 < 900, "it is not hot enough to be held under the blind level: {before:?}");
    rig.blur = |reading| reading.core = Sensed::Missing;
    let after = governed(rig.run(600.0, |_| 1.0, |_| 70.0));
    assert!(after <= before, "{after:?} instead of {before:?}");
}

#[test]
fn a_sensor_that_sticks_is_found_by_the_power_that_moves() {
    let mut rig = h100(25.0);
    rig.run(300.0, |_| 0.2, |_| 25.0);
    rig.plant.board.put_on(Fault::StuckSensor);
    let judged = rig.run(120.0, |_| 1.0, |_| 25.0).judged.unwrap();
    assert!(matches!(judged.reading.core, Sensed::Frozen(_)), "{:?}", judged.reading.core);
    assert_eq!(judged.standing.band, Band::Hot);
}

#[test]
fn a_healthy_board_is_never_called_frozen() {
    for period in [7.0, 40.0, 300.0] {
        let mut rig = h100(35.0);
        let work = |at: f64| if ((at / period) as u64).is_multiple_of(2) { 1.0 } else { 0.0 };
        let record = rig.run(3600.0, work, |at| 35.0 + at / 360.0);
        assert!(record.bands.iter().all(|band| *band < Band::Hot), "period {period}");
    }
}

#[test]
fn a_sensor_that_reads_low_is_found_by_the_throttling_which_then_ends() {
    let mut rig = h100(52.0);
    rig.plant.board.put_on(Fault::LyingSensor(-8.0));
    let first = rig.run(600.0, |_| 1.0, |_| 52.0);
    let later = rig.run(1800.0, |_| 1.0, |_| 52.0);
    assert!(first.throttled > 0.0, "it was not hot enough to show anything");
    assert!(later.throttled < 0.02 * later.seconds, "{} s throttled", later.throttled);
    assert_eq!(first.halved + later.halved, 0.0);
    assert_eq!(later.judged.unwrap().standing.band, Band::Hot);
}

#[test]
fn a_board_that_falls_off_the_bus_is_quarantined_within_seconds_and_stays_there() {
    let mut rig = h100(25.0);
    rig.run(60.0, |_| 0.5, |_| 25.0);
    rig.plant.board.put_on(Fault::OffTheBus);
    for seconds in [3.0, 3600.0] {
        let standing = rig.run(seconds, |_| 0.0, |_| 25.0).judged.unwrap().standing;
        assert_eq!(standing.duty, Duty::Quarantine);
    }
}

#[test]
fn a_storm_of_memory_errors_takes_the_board_out_of_service() {
    let mut rig = h100(25.0);
    rig.run(60.0, |_| 0.5, |_| 25.0);
    rig.plant.board.put_on(Fault::EccStorm);
    let standing = rig.run(60.0, |_| 0.5, |_| 25.0).judged.unwrap().standing;
    assert_eq!(standing.duty, Duty::Quarantine);
}
