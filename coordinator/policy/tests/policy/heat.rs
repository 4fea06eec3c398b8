//! Bands and duties: what of them is recorded, and what the record does.

use std::{collections::BTreeMap, time::Duration};

use crate::support::{any_heat, apply, cluster, region, register, register_at, set_heat};
use helixflow_model::{
    Band, BoardId, BoardInfo, BoardLimits, BoardReading, BoardReport, BoardStanding, ClockControl,
    DeviceKind, Duty, Epoch, FeatureLevel, NodeId, NodeReport, Permille,
};
use helixflow_policy::{
    check::check,
    heat::{changes, heat_of},
    state::{Bounded, ClusterState, Command, Heat, MAX_HEAT_CHANGES, Outcome, Refusal},
};
use proptest::prelude::*;

fn board(Heat { duty, band }: Heat) -> BoardReport {
    BoardReport {
        info: BoardInfo {
            board: BoardId::new("simulated-0").unwrap(),
            name: "a board".to_owned(),
            kind: DeviceKind::Simulated,
            limits: BoardLimits::default(),
        },
        reading: BoardReading::default(),
        age: Duration::ZERO,
        standing: BoardStanding {
            band,
            duty,
            control: ClockControl::Governed,
            target_clock: None,
            forecast: None,
            headroom: None,
            speed: Permille(1000),
            weight: Permille(1000),
        },
    }
}

pub(crate) fn report(node: u64, boards: &[Heat]) -> NodeReport {
    NodeReport {
        node: NodeId(node),
        region: region("a"),
        advertise: "h:1".to_owned(),
        sequence: 1,
        age: Duration::ZERO,
        boards: boards.iter().map(|heat| board(*heat)).collect(),
        replicas: Vec::new(),
    }
}

const fn heat(duty: Duty, band: Band) -> Heat {
    Heat { duty, band }
}

/// A cluster of so many nodes whose coordinator knows of heat.
fn able(nodes: usize) -> ClusterState {
    let mut state = cluster(&vec![("a", 1); nodes]);
    register(&mut state, 1, "a");
    state
}

fn recorded(command: Option<Command>) -> BTreeMap<NodeId, Heat> {
    match command {
        Some(Command::RecordHeat { changes }) => changes,
        None => BTreeMap::new(),
        Some(other) => panic!("{other:?} records no heat"),
    }
}

#[test]
fn the_worst_board_of_a_node_counts_each_way_by_itself() {
    let boards = [heat(Duty::Drain, Band::Warm), heat(Duty::Full, Band::Critical)];
    assert_eq!(heat_of(&report(1, &boards)), Some(heat(Duty::Drain, Band::Critical)));
    assert_eq!(heat_of(&report(1, &[])), None);
}

#[test]
fn only_what_differs_from_the_state_is_proposed() {
    let mut state = able(3);
    let cool = heat(Duty::Full, Band::Cool);
    let reports = [report(1, &[cool]), report(2, &[heat(Duty::Drain, Band::Hot)]), report(9, &[cool])];
    let command = changes(&state, &reports);
    assert_eq!(recorded(command.clone()), [(NodeId(2), heat(Duty::Drain, Band::Hot))].into());
    assert_eq!(apply(&mut state, command.unwrap()), Outcome::Applied);
    assert_eq!(changes(&state, &reports), None);
    assert_eq!(state.nodes()[&NodeId(2)].heat.since, state.epoch());
}

#[test]
fn nothing_is_proposed_that_a_member_could_not_read() {
    let mut state = able(1);
    register_at(&mut state, 2, "a", FeatureLevel(2));
    assert_eq!(changes(&state, &[report(1, &[heat(Duty::Drain, Band::Hot)])]), None);
}

#[test]
fn the_worst_goes_first_where_a_record_has_no_room_for_all() {
    let nodes = MAX_HEAT_CHANGES + 2;
    let mut state = able(nodes);
    let mut reports: Vec<_> =
        (1..=nodes as u64).map(|n| report(n, &[heat(Duty::Full, Band::Warm)])).collect();
    reports[nodes - 1] = report(nodes as u64, &[heat(Duty::Quarantine, Band::Cool)]);
    let first = changes(&state, &reports);
    assert_eq!(recorded(first.clone()).len(), MAX_HEAT_CHANGES);
    assert!(recorded(first.clone()).contains_key(&NodeId(nodes as u64)));
    apply(&mut state, first.unwrap());
    assert_eq!(recorded(changes(&state, &reports)).len(), 2);
    let all = (1..=nodes as u64).map(|n| (NodeId(n), Heat::default())).collect();
    let limit = MAX_HEAT_CHANGES as u64;
    assert_eq!(
        apply(&mut state, Command::RecordHeat { changes: all }),
        Outcome::Refused { reason: Refusal::TooMany { what: Bounded::HeatChanges, limit } }
    );
}

#[test]
fn a_record_makes_no_plan_stale_and_passes_strangers_over() {
    let mut state = able(1);
    let based_on = state.changed();
    assert_eq!(set_heat(&mut state, 1, Duty::Drain, Band::Warm), Outcome::Applied);
    assert_eq!(set_heat(&mut state, 1, Duty::Drain, Band::Warm), Outcome::Unchanged);
    assert_eq!(set_heat(&mut state, 7, Duty::Drain, Band::Warm), Outcome::Unchanged);
    assert_eq!(state.changed(), based_on);
    assert_eq!(check(&state), []);
}

#[test]
fn since_when_is_the_index_of_the_last_change() {
    let mut state = able(2);
    assert_eq!(state.nodes()[&NodeId(1)].heat.since, Epoch(0));
    set_heat(&mut state, 1, Duty::Full, Band::Warm);
    let since = state.epoch();
    set_heat(&mut state, 2, Duty::Full, Band::Warm);
    set_heat(&mut state, 1, Duty::Full, Band::Warm);
    assert_eq!(state.nodes()[&NodeId(1)].heat.since, since);
}

proptest! {
    #[test]
    fn records_lead_to_what_is_reported_and_then_end(told in prop::collection::vec(prop::collection::vec(any_heat(), 0..3), 1..20)) {
        let mut state = able(told.len());
        let reports: Vec<_> = (1..).zip(&told).map(|(node, boards)| report(node, boards)).collect();
        while let Some(command) = changes(&state, &reports) {
            prop_assert_eq!(apply(&mut state, command), Outcome::Applied);
            prop_assert_eq!(check(&state), []);
        }
        for report in &reports {
            prop_assert_eq!(heat_of(report).unwrap_or_default(), state.nodes()[&report.node].heat.heat);
        }
    }
}
