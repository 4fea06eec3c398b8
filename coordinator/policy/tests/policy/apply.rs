//! The replicated state through its one door, `apply`: what is accepted, what is refused, what always holds.

use crate::support::{
    any_log, apply, apply_move, bootstrap, cluster, fitted, join, model, place, register_at, set_health,
    spec, whole,
};
use helixflow_model::{Bytes, Epoch, FeatureLevel, Fence, Generation, LayerRange, NodeId, ReplicaId};
use helixflow_policy::{
    check::check,
    state::{
        ClusterState, Command, Field, MAX_NODES, ModelKey, Move, MoveReason, NodeHealth, NodeUuid, Outcome,
        Part, Refusal,
    },
};
use proptest::prelude::*;

fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused { reason } => reason,
        other => panic!("{other:?} was not refused"),
    }
}

fn round_trip<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let config = bincode::config::standard();
    let bytes = bincode::serde::encode_to_vec(value, config).unwrap();
    bincode::serde::decode_from_slice(&bytes, config).unwrap().0
}

proptest! {
    #[test]
    fn whatever_the_log_holds_every_state_on_the_way_is_sound(log in any_log(80)) {
        let mut state = ClusterState::default();
        for command in log {
            let before = state.clone();
            let outcome = apply(&mut state, fitted(&before, command.clone()));
            let found = check(&state);
            prop_assert!(found.is_empty(), "{command:?} gave {outcome:?} and {found:?}");
            if matches!(outcome, Outcome::Refused { .. } | Outcome::Unchanged) {
                prop_assert_eq!(state.changed(), before.changed());
                prop_assert_eq!(state.replicas(), before.replicas());
                prop_assert_eq!(state.nodes(), before.nodes());
                prop_assert_eq!(state.models(), before.models());
            }
        }
    }

    #[test]
    fn the_same_log_gives_the_same_state_and_outcomes_also_through_bytes(log in any_log(60)) {
        let (mut one, mut other) = (ClusterState::default(), ClusterState::default());
        for command in log {
            let carried: Command = round_trip(&command);
            prop_assert_eq!(&carried, &command);
            let outcome = apply(&mut one, command);
            other = round_trip(&other);
            prop_assert_eq!(&round_trip(&outcome), &outcome);
            prop_assert_eq!(apply(&mut other, carried), outcome);
        }
        prop_assert_eq!(one, other);
    }

    #[test]
    fn an_id_is_never_given_twice(log in any_log(80)) {
        let mut state = ClusterState::default();
        let mut newest = ReplicaId(0);
        for command in log {
            let before: Vec<ReplicaId> = state.replicas().keys().copied().collect();
            let command = fitted(&state, command);
            apply(&mut state, command);
            for id in state.replicas().keys().filter(|id| !before.contains(id)) {
                prop_assert!(*id > newest, "{} came after {}", id, newest);
                newest = *id;
            }
        }
    }
}

#[test]
fn nothing_is_accepted_before_the_bootstrap() {
    let mut state = ClusterState::default();
    assert_eq!(refused(apply(&mut state, join(1, "a", 10))), Refusal::NotBootstrapped);
    assert_eq!(apply(&mut state, bootstrap()), Outcome::Applied);
    assert_eq!(apply(&mut state, bootstrap()), Outcome::Unchanged);
}

#[test]
fn a_cluster_is_bootstrapped_once() {
    let mut state = cluster(&[]);
    let other = Command::Bootstrap {
        cluster: helixflow_model::ClusterId::new("other").unwrap(),
        incarnation: helixflow_model::Incarnation(1),
    };
    assert!(matches!(refused(apply(&mut state, other)), Refusal::AlreadyBootstrapped { .. }));
}

#[test]
fn an_index_applied_before_changes_nothing() {
    let mut state = cluster(&[("a", 10)]);
    let before = state.clone();
    let outcome = state.apply(before.epoch().0, join(9, "a", 10));
    assert!(matches!(refused(outcome), Refusal::IndexNotNewer { .. }));
    assert_eq!(state, before);
}

#[test]
fn a_node_that_joins_again_keeps_its_id_and_tells_its_new_address() {
    let mut state = cluster(&[("a", 10), ("b", 10)]);
    assert_eq!(apply(&mut state, join(1, "a", 10)), Outcome::Joined { node: NodeId(1) });
    let Command::JoinNode { uuid, region, capacity, .. } = join(1, "a", 10) else { unreachable!() };
    let moved = Command::JoinNode { uuid, region, advertise: "elsewhere:7".to_owned(), capacity };
    assert_eq!(apply(&mut state, moved), Outcome::Joined { node: NodeId(1) });
    assert_eq!(state.nodes()[&NodeId(1)].advertise, "elsewhere:7");
    assert_eq!(state.nodes().len(), 2);
}

#[test]
fn a_join_that_changes_nothing_makes_no_plan_stale() {
    let mut state = cluster(&[("a", 10)]);
    let changed = state.changed();
    apply(&mut state, join(1, "a", 10));
    assert_eq!(state.changed(), changed);
}

#[test]
fn a_lost_node_that_joins_again_is_live_only_when_it_is_judged_so() {
    let mut state = cluster(&[("a", 10)]);
    assert_eq!(set_health(&mut state, 1, NodeHealth::Lost), Outcome::Applied);
    apply(&mut state, join(1, "a", 10));
    assert_eq!(state.nodes()[&NodeId(1)].health, NodeHealth::Lost);
    assert_eq!(set_health(&mut state, 1, NodeHealth::Live), Outcome::Applied);
    assert_eq!(state.nodes()[&NodeId(1)].health_since, state.epoch());
    assert_eq!(set_health(&mut state, 1, NodeHealth::Live), Outcome::Unchanged);
}

#[test]
fn a_node_that_returns_with_less_memory_gives_up_its_newest_replicas() {
    let mut state = cluster(&[("a", 10)]);
    for (name, memory) in [("first", 4), ("second", 3), ("third", 3)] {
        apply(&mut state, Command::AddModel { spec: spec(name, memory, 1) });
        assert_eq!(apply_move(&mut state, place(name, whole(1))), Outcome::Applied);
    }
    apply(&mut state, join(1, "a", 7));
    assert_eq!(state.replicas().keys().copied().collect::<Vec<_>>(), [ReplicaId(1), ReplicaId(2)]);
    assert_eq!(check(&state), []);
}

#[test]
fn a_judgement_on_old_knowledge_is_refused() {
    let mut state = cluster(&[("a", 10)]);
    let expected = state.nodes()[&NodeId(1)].health_since;
    set_health(&mut state, 1, NodeHealth::Lost);
    let late = Command::SetNodeHealth { node: NodeId(1), health: NodeHealth::Lost, expected };
    assert!(matches!(refused(apply(&mut state, late)), Refusal::HealthChanged { .. }));
}

#[test]
fn a_model_is_added_once_and_never_under_two_descriptions() {
    let mut state = cluster(&[]);
    let added = |memory, replicas| Command::AddModel { spec: spec("m", memory, replicas) };
    assert_eq!(apply(&mut state, added(5, 1)), Outcome::Applied);
    assert_eq!(apply(&mut state, added(5, 1)), Outcome::Unchanged);
    assert!(matches!(refused(apply(&mut state, added(6, 1))), Refusal::ModelDiffers { .. }));
    assert_eq!(state.versions_of(&model("m")).count(), 1);
    assert_eq!(state.versions_of(&model("n")).count(), 0);
}

#[test]
fn a_description_that_cannot_be_true_is_refused_by_its_field() {
    let mut state = cluster(&[]);
    let mut refuse = |change: fn(&mut helixflow_model::ModelSpec)| {
        let mut bad = spec("m", 5, 1);
        change(&mut bad);
        match refused(apply(&mut state, Command::AddModel { spec: bad })) {
            Refusal::InvalidField { field } => field,
            other => panic!("{other}"),
        }
    };
    assert_eq!(refuse(|spec| spec.layers = 0), Field::Layers);
    assert_eq!(refuse(|spec| spec.layers = u32::MAX), Field::Layers);
    assert_eq!(refuse(|spec| spec.context = 0), Field::Context);
    assert_eq!(refuse(|spec| spec.version.clear()), Field::Version);
    assert_eq!(refuse(|spec| spec.sha256 = "ABC".to_owned()), Field::Sha256);
    assert_eq!(refuse(|spec| spec.replicas = u32::MAX), Field::ReplicaCount);
}

#[test]
fn a_removed_model_takes_its_replicas_along() {
    let mut state = cluster(&[("a", 10)]);
    apply(&mut state, Command::AddModel { spec: spec("m", 5, 1) });
    apply_move(&mut state, place("m", whole(1)));
    let remove = Command::RemoveModel { model: model("m"), version: "1".to_owned() };
    assert_eq!(apply(&mut state, remove.clone()), Outcome::Applied);
    assert!(state.replicas().is_empty());
    assert_eq!(apply(&mut state, remove), Outcome::Unchanged);
}

#[test]
fn a_moved_replica_keeps_its_id_and_rises_by_one_generation() {
    let mut state = cluster(&[("a", 10), ("a", 10)]);
    apply(&mut state, Command::AddModel { spec: spec("m", 5, 1) });
    apply_move(&mut state, place("m", whole(1)));
    let fence = Fence { replica: ReplicaId(1), generation: Generation(1) };
    let reason = MoveReason::NodeLost { node: NodeId(1) };
    let step = Move::MoveReplica { fence, parts: whole(2), reason };
    assert_eq!(apply_move(&mut state, step.clone()), Outcome::Applied);
    assert_eq!(state.replicas()[&ReplicaId(1)].generation, Generation(2));
    assert_eq!(refused(apply_move(&mut state, step)), Refusal::ReplicaChanged { fence });
    assert_eq!(state.assignments(NodeId(1)), []);
    assert_eq!(state.assignments(NodeId(2)).len(), 1);
}

#[test]
fn a_plan_is_made_whole_or_not_at_all() {
    let mut state = cluster(&[("a", 10)]);
    apply(&mut state, Command::AddModel { spec: spec("m", 6, 2) });
    let moves = vec![place("m", whole(1)), place("m", whole(1))];
    let based_on = state.epoch();
    let reason = refused(apply(&mut state, Command::ApplyPlan { based_on, moves }));
    assert_eq!(reason, Refusal::NotEnoughMemory { node: NodeId(1), free: Bytes(4), needed: Bytes(6) });
    assert!(state.replicas().is_empty());
}

#[test]
fn a_plan_from_before_the_last_change_or_from_the_future_is_refused() {
    let mut state = cluster(&[("a", 10)]);
    let based_on = state.epoch();
    apply(&mut state, Command::AddModel { spec: spec("m", 6, 2) });
    for wrong in [based_on, Epoch(99)] {
        let planned = Command::ApplyPlan { based_on: wrong, moves: vec![place("m", whole(1))] };
        assert!(matches!(refused(apply(&mut state, planned)), Refusal::PlanStale { .. }));
    }
}

#[test]
fn parts_that_leave_a_gap_or_overlap_or_share_a_node_are_refused() {
    let mut state = cluster(&[("a", 10), ("a", 10)]);
    apply(&mut state, Command::AddModel { spec: spec("m", 6, 2) });
    let mut refuse = |parts: &[(u64, u32, u32)]| {
        let part = |&(node, first, end): &(u64, u32, u32)| Part {
            node: NodeId(node),
            layers: LayerRange { first, end },
        };
        refused(apply_move(&mut state, place("m", parts.iter().map(part).collect())))
    };
    let uncovered = |expected| Refusal::LayersNotCovered { layers: 4, expected };
    assert_eq!(refuse(&[]), uncovered(0));
    assert_eq!(refuse(&[(1, 0, 3)]), uncovered(3));
    assert_eq!(refuse(&[(1, 0, 2), (2, 3, 4)]), uncovered(2));
    assert_eq!(refuse(&[(1, 0, 3), (2, 2, 4)]), uncovered(3));
    assert_eq!(refuse(&[(1, 0, 5)]), uncovered(0));
    assert_eq!(refuse(&[(1, 0, 2), (1, 2, 4)]), Refusal::NodeTwice { node: NodeId(1) });
    assert_eq!(refuse(&[(3, 0, 4)]), Refusal::UnknownNode { node: NodeId(3) });
}

#[test]
fn a_replica_split_over_two_nodes_takes_its_share_of_each() {
    let mut state = cluster(&[("a", 10), ("a", 10)]);
    apply(&mut state, Command::AddModel { spec: spec("m", 10, 1) });
    let parts = vec![
        Part { node: NodeId(1), layers: LayerRange { first: 0, end: 1 } },
        Part { node: NodeId(2), layers: LayerRange { first: 1, end: 4 } },
    ];
    assert_eq!(apply_move(&mut state, place("m", parts)), Outcome::Applied);
    let committed: Vec<_> = state.committed().into_iter().collect();
    assert_eq!(committed, [(NodeId(1), Bytes(3)), (NodeId(2), Bytes(8))]);
    assert_eq!(state.replicas()[&ReplicaId(1)].head(), Some(NodeId(1)));
}

#[test]
fn nothing_is_placed_on_a_lost_node() {
    let mut state = cluster(&[("a", 10)]);
    apply(&mut state, Command::AddModel { spec: spec("m", 6, 1) });
    set_health(&mut state, 1, NodeHealth::Lost);
    let reason = refused(apply_move(&mut state, place("m", whole(1))));
    assert_eq!(reason, Refusal::NodeLost { node: NodeId(1) });
}

#[test]
fn a_node_uuid_reads_what_it_writes() {
    let uuid = NodeUuid(0x0123_4567_89ab_cdef);
    assert_eq!(uuid.to_string().parse(), Ok(uuid));
    assert_eq!("00000000-0000-0000-0123-456789abcdef".parse(), Ok(uuid));
    for bad in ["", "0123", "+0000000000000000000000000000000", "zz000000000000000000000000000000"] {
        assert!(bad.parse::<NodeUuid>().is_err(), "{bad:?} was accepted");
    }
    assert_eq!(ModelKey::of(&spec("m", 1, 1)).to_string(), "m version 1");
}

#[test]
fn more_replicas_than_an_older_build_takes_wait_until_every_member_takes_them() {
    let mut state = cluster(&[]);
    register_at(&mut state, 1, "a", FeatureLevel(3));
    register_at(&mut state, 2, "a", FeatureLevel(2));
    let many = || Command::add(spec("m", 6, 5000));
    let refused = Outcome::Refused { reason: Refusal::InvalidField { field: Field::ReplicaCount } };
    assert_eq!((state.most_nodes(), apply(&mut state, many())), (4096, refused));
    register_at(&mut state, 2, "a", FeatureLevel(3));
    assert_eq!((state.most_nodes(), apply(&mut state, many())), (MAX_NODES, Outcome::Applied));
}
