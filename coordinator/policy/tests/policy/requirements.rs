//! What models ask of boards: where they may run, and what becomes of them when boards change.

use std::collections::BTreeSet;

use crate::support::{apply, apply_move, cluster, place, spec, whole};
use helixflow_model::{
    BoardTraits, DeviceFeature, DeviceKind, FeatureLevel, ModelSpec, NodeId, Requirements,
};
use helixflow_policy::{
    check::check,
    placement::{Missing, Observed, plan},
    state::{ClusterState, Command, Outcome, Refusal},
};

fn features(names: &[&str]) -> BTreeSet<DeviceFeature> {
    names.iter().map(|name| DeviceFeature::new(*name).unwrap()).collect()
}

fn describe(state: &mut ClusterState, node: u64, kind: DeviceKind, names: &[&str]) -> Outcome {
    let boards = [BoardTraits { kind, features: features(names) }].into();
    apply(state, Command::DescribeBoards { node: NodeId(node), boards })
}

/// Asks for NVIDIA's boards with fp8.
fn asking() -> ModelSpec {
    let requires = Requirements { vendors: [DeviceKind::Nvidia].into(), features: features(&["fp8"]) };
    ModelSpec { requires, ..spec("m", 6, 1) }
}

/// Three nodes: one that told nothing, one of another vendor, one that lacks fp8.
fn unsuited() -> ClusterState {
    let mut state = cluster(&[("a", 10), ("a", 10), ("a", 10)]);
    describe(&mut state, 2, DeviceKind::Amd, &["bf16", "fp8"]);
    describe(&mut state, 3, DeviceKind::Nvidia, &["bf16"]);
    state
}

fn all_well(state: &ClusterState) -> Observed {
    Observed { live: state.nodes().keys().copied().collect(), ..Observed::default() }
}

#[test]
fn a_model_is_placed_only_where_a_board_suits_and_the_shortfall_says_what_is_missing() {
    let mut state = unsuited();
    assert_eq!(apply(&mut state, Command::add(asking())), Outcome::Applied);
    let planned = plan(&state, &all_well(&state));
    assert!(planned.is_empty());
    assert_eq!(planned.shortfalls[0].why, Missing::NoSuchBoard { asks: asking().requires });
    assert_eq!(
        planned.shortfalls[0].to_string(),
        "m version 1 lacks 1 of 1 replicas: it asks for a board of nvidia with fp8, and no other live node has one: \
         add one, or ask for less"
    );
    describe(&mut state, 3, DeviceKind::Nvidia, &["bf16", "fp8"]);
    let command = plan(&state, &all_well(&state)).into_command().unwrap();
    apply(&mut state, command);
    assert!(state.replicas().values().all(|replica| replica.head() == Some(NodeId(3))));
    assert_eq!(state.replicas().len(), 1);
}

#[test]
fn a_plan_that_puts_a_model_on_other_boards_is_refused() {
    let mut state = unsuited();
    apply(&mut state, Command::add(asking()));
    let refused = Outcome::Refused { reason: Refusal::BoardsDoNotSuit { node: NodeId(2) } };
    assert_eq!(apply_move(&mut state, place("m", whole(2))), refused);
}

#[test]
fn a_replica_ends_when_its_nodes_boards_suit_no_more() {
    let mut state = cluster(&[("a", 20)]);
    describe(&mut state, 1, DeviceKind::Nvidia, &["fp8"]);
    apply(&mut state, Command::add(asking()));
    apply(&mut state, Command::add(spec("any", 6, 1)));
    for name in ["m", "any"] {
        assert_eq!(apply_move(&mut state, place(name, whole(1))), Outcome::Applied);
    }
    assert_eq!(describe(&mut state, 1, DeviceKind::Nvidia, &["fp8"]), Outcome::Unchanged);
    assert_eq!(describe(&mut state, 1, DeviceKind::Amd, &["fp8"]), Outcome::Applied);
    let left: Vec<_> = state.replicas().values().map(|replica| replica.model.id.as_str()).collect();
    assert_eq!(left, ["any"]);
    assert_eq!(check(&state), []);
}

#[test]
fn a_model_that_asks_for_nothing_is_added_as_every_build_reads_it() {
    assert_eq!(Command::add(spec("m", 6, 1)).level(), FeatureLevel(1));
    assert_eq!(Command::add(asking()).level(), FeatureLevel(3));
}

#[test]
fn what_a_plain_command_cannot_carry_is_not_obeyed_by_whoever_proposed_it_either() {
    let mut state = cluster(&[]);
    apply(&mut state, Command::AddModel { spec: asking() });
    assert!(state.models().values().all(|spec| spec.requires.is_empty()));
}
