//! Faults: what each does, and that it ends when it is taken off.

use helixflow_model::{ClockReasons, FaultEvent, Sensed};
use helixflow_physics::{Board, Fault, H100_SXM, MI300X, Unreadable, Work};

use crate::world::{SETTLED, board, run};

const BUSY: Work = Work { busy: 1.0, memory_bound: 0.6 };

fn core(board: &mut Board) -> i32 {
    board.reading().ok().and_then(|reading| reading.core.live()).map_or(i32::MIN, |core| core.0)
}

#[test]
fn a_board_off_the_bus_fails_every_reading_and_does_no_work() {
    let mut board = board(H100_SXM, 25.0);
    board.put_on(Fault::OffTheBus);
    let passed = board.step(1.0, BUSY);
    assert_eq!((board.reading(), board.speed(), passed.work), (Err(Unreadable::OffTheBus), 0.0, 0.0));
    board.take_off(Fault::OffTheBus);
    assert!(board.reading().is_ok() && board.step(1.0, BUSY).work > 0.9);
}

#[test]
fn a_blocked_call_leaves_the_board_working() {
    let mut board = board(H100_SXM, 25.0);
    board.put_on(Fault::BlockedCall);
    assert!(board.step(1.0, BUSY).work > 0.9);
    assert_eq!(board.reading(), Err(Unreadable::Blocked));
    board.take_off(Fault::BlockedCall);
    assert!(board.reading().is_ok());
}

#[test]
fn an_ecc_storm_counts_and_tells_each_event_once() {
    let mut board = board(H100_SXM, 25.0);
    board.put_on(Fault::EccStorm);
    run(&mut board, 25, BUSY);
    let reading = board.reading().unwrap();
    let ecc = reading.ecc.live().unwrap();
    assert_eq!((ecc.corrected, ecc.uncorrected), (50_000, 2));
    assert_eq!(reading.faults, [94, 63].map(|code| FaultEvent { code, count: 2 }));
    assert!(reading.remapping.live().unwrap().pending);
    assert_eq!(board.reading().unwrap().faults, []);
    board.take_off(Fault::EccStorm);
    run(&mut board, 25, BUSY);
    assert_eq!(board.reading().unwrap().ecc, reading.ecc);
}

#[test]
fn a_stuck_sensor_stands_still_while_the_board_does_not() {
    let mut board = board(H100_SXM, 25.0);
    let before = board.die();
    board.put_on(Fault::StuckSensor);
    let stuck = core(&mut board);
    assert!((stuck - (before * 1000.0) as i32).abs() <= 1_500);
    for _ in 0..120 {
        board.step(1.0, BUSY);
        assert_eq!(core(&mut board), stuck);
    }
    assert!(board.die() > before + 20.0);
    board.take_off(Fault::StuckSensor);
    assert!((core(&mut board) - (board.die() * 1000.0) as i32).abs() <= 1_500);
}

#[test]
fn a_lying_sensor_is_off_and_the_firmware_is_not_deceived() {
    let mut board = board(H100_SXM, 60.0);
    board.put_on(Fault::LyingSensor(-40.0));
    run(&mut board, SETTLED, BUSY);
    assert!(core(&mut board) < 60_000, "{:?}", board.truth());
    assert!(board.reasons().has(ClockReasons::SOFTWARE_THERMAL) && board.die() < 89.0, "{:?}", board.truth());
}

#[test]
fn a_failed_fan_and_a_hot_inlet_heat_the_board() {
    let settle = |fault: Option<Fault>| {
        let mut board = board(H100_SXM, 25.0);
        fault.into_iter().for_each(|fault| board.put_on(fault));
        run(&mut board, SETTLED, Work { busy: 0.3, memory_bound: 0.6 });
        board.die()
    };
    let sound = settle(None);
    assert!(settle(Some(Fault::FailedFan)) > sound + 10.0 && settle(Some(Fault::HotInlet)) > sound + 5.0);
}

#[test]
fn hot_memory_slows_a_board_whose_core_is_cool() {
    for product in [H100_SXM, MI300X] {
        let mut board = board(product, 30.0);
        board.put_on(Fault::HotMemory);
        run(&mut board, SETTLED, Work { busy: 1.0, memory_bound: 0.9 });
        let truth = board.truth();
        assert!(truth.die < product.limits.operating - 10.0, "{truth:?}");
        assert!(board.reasons().has(ClockReasons::SOFTWARE_THERMAL), "{truth:?}");
        assert!((truth.memory - product.limits.memory).abs() < 3.0, "{truth:?}");
        assert!(matches!(board.reading().unwrap().memory, Sensed::Live(memory) if memory.0 > 90_000));
    }
}

#[test]
fn faults_have_names_and_come_back_by_them() {
    let all = "bus ecc stuck lying:-20 blocked inlet fan memory brake";
    let mut board = board(H100_SXM, 25.0);
    for name in all.split(' ') {
        let fault: Fault = name.parse().unwrap();
        assert_eq!(fault.to_string(), name);
        board.put_on(fault);
    }
    let names: Vec<String> = board.faults().iter().map(ToString::to_string).collect();
    assert_eq!(names.join(" "), all);
    board.faults().into_iter().for_each(|fault| board.take_off(fault));
    assert_eq!(board.faults(), []);
    for bad in ["fans", "lying", "lying:", "lying:x", "lying:1e9", ""] {
        assert!(bad.parse::<Fault>().is_err_and(|error| error.to_string().contains("use bus, ecc")), "{bad}");
    }
}
