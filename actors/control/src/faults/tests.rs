//! From a reading's faults to a rung of the ladder.

use helixflow_model::{FaultEvent, Sensed};

use super::*;

/// The rung that is demanded after these readings, a second apart.
fn after(readings: impl IntoIterator<Item = BoardReading>) -> Duty {
    let mut faults = Faults::default();
    let mut demanded = Duty::Full;
    for (reading, now) in readings.into_iter().zip((0..).map(Duration::from_secs)) {
        faults.take(&reading, now);
        demanded = faults.demand(now);
    }
    demanded
}

fn event(code: u32) -> BoardReading {
    BoardReading { faults: vec![FaultEvent { code, count: 1 }], ..BoardReading::default() }
}

fn ecc(corrected: u64, uncorrected: u64) -> BoardReading {
    BoardReading { ecc: Sensed::Live(EccErrors { corrected, uncorrected }), ..BoardReading::default() }
}

fn remapping(pending: bool, failed: bool) -> BoardReading {
    let remapping = RowRemapping { pending, failed, ..RowRemapping::default() };
    BoardReading { remapping: Sensed::Live(remapping), ..BoardReading::default() }
}

#[test]
fn each_fault_event_leads_to_its_rung() {
    assert_eq!(after([event(13)]), Duty::Full);
    assert_eq!(after([event(63)]), Duty::Full);
    assert_eq!(after([event(92)]), Duty::Drain);
    assert_eq!(after([event(58)]), Duty::Quarantine);
    assert_eq!(after([event(79)]), Duty::Quarantine);
}

#[test]
fn an_unknown_event_alone_costs_nothing_and_a_series_drains() {
    assert_eq!(after([event(4711)]), Duty::Full);
    assert_eq!(after((0..6).map(|_| event(4711))), Duty::Drain);
}

#[test]
fn errors_from_before_the_start_count_for_nothing_and_new_ones_quarantine() {
    assert_eq!(after([ecc(5_000, 7), ecc(5_000, 7)]), Duty::Full);
    assert_eq!(after([ecc(0, 7), ecc(0, 8)]), Duty::Quarantine);
}

#[test]
fn a_counter_that_was_begun_anew_is_no_error() {
    assert_eq!(after([ecc(5_000, 7), ecc(0, 0), ecc(1, 0)]), Duty::Full);
}

#[test]
fn a_storm_of_mended_errors_drains_and_a_few_do_not() {
    assert_eq!(after((0..60).map(|n| ecc(n, 0))), Duty::Full);
    assert_eq!(after((0..60).map(|n| ecc(n * 10, 0))), Duty::Drain);
}

#[test]
fn a_waiting_row_drains_until_it_is_replaced_and_a_failed_one_quarantines() {
    assert_eq!(after([remapping(true, false)]), Duty::Drain);
    assert_eq!(after([remapping(true, false), remapping(false, false)]), Duty::Full);
    assert_eq!(after([remapping(false, true)]), Duty::Quarantine);
}

#[test]
fn a_link_that_sends_again_and_again_gets_no_new_shards() {
    let link = |replays| BoardReading {
        pcie: Sensed::Live(PcieLink { generation: 5, width: 16, replays }),
        ..BoardReading::default()
    };
    assert_eq!(after([link(1000), link(1010)]), Duty::Full);
    assert_eq!(after([link(1000), link(1100)]), Duty::NoNewShards);
}

#[test]
fn a_fault_that_needs_a_reset_is_never_forgotten() {
    let mut faults = Faults::default();
    faults.take(&event(79), Duration::ZERO);
    assert_eq!(faults.demand(Duration::MAX), Duty::Quarantine);
}
