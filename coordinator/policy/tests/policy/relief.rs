//! Placement by heat: no shard on hot boards, and boards that are to be relieved lose theirs without a gap.

use std::collections::BTreeSet;

use crate::plan::{in_trouble, is_leaving, takers};
use crate::support::{
    apply, apply_move, cluster, place, register, register_at, set_health, set_heat, spec, whole,
};
use helixflow_model::{Band, Duty, FeatureLevel, Fence, NodeId, ReplicaId};
use helixflow_policy::{
    check::check,
    placement::{Failure, MAX_RELIEFS, Missing, Observed, plan},
    state::{ClusterState, Command, NodeHealth, Outcome},
};
use proptest::prelude::*;

/// Everybody lives, and these replicas answer, or all.
fn observed(state: &ClusterState, answers: impl Fn(ReplicaId) -> bool) -> Observed {
    let answering = state.replicas().iter().filter(|(id, _)| answers(**id));
    let ready = answering.flat_map(|(id, replica)| {
        let fence = Fence { replica: *id, generation: replica.generation };
        replica.parts.iter().map(move |part| (fence, part.node))
    });
    Observed { live: state.nodes().keys().copied().collect(), ready: ready.collect(), ..Observed::default() }
}

fn add(state: &mut ClusterState, name: &str, replicas: u32) {
    assert_eq!(apply(state, Command::AddModel { spec: spec(name, 6, replicas) }), Outcome::Applied);
}

/// Plans, carries it out and tells the moves.
fn told(state: &mut ClusterState, observed: &Observed) -> Vec<String> {
    let planned = plan(state, observed);
    let moves = planned.moves.iter().map(ToString::to_string).collect();
    if let Some(command) = planned.into_command() {
        assert_eq!(apply(state, command), Outcome::Applied);
    }
    assert_eq!(check(state), []);
    moves
}

fn all(_: ReplicaId) -> bool {
    true
}

/// One model on the first nodes of several, everything as it should be.
fn settled(nodes: usize, replicas: u32) -> ClusterState {
    let mut state = cluster(&vec![("a", 10); nodes]);
    register(&mut state, 1, "a");
    add(&mut state, "m", replicas);
    let now = observed(&state, all);
    told(&mut state, &now);
    state
}

fn heads(state: &ClusterState) -> BTreeSet<u64> {
    state.replicas().values().filter_map(|replica| replica.head()).map(|node| node.0).collect()
}

#[test]
fn no_shard_is_put_on_boards_that_take_none_or_are_hot() {
    for (duty, band) in [
        (Duty::Probation, Band::Cool),
        (Duty::NoNewShards, Band::Cool),
        (Duty::Drain, Band::Cool),
        (Duty::Quarantine, Band::Cool),
        (Duty::Full, Band::Hot),
        (Duty::Full, Band::Critical),
    ] {
        let mut state = cluster(&[("a", 10), ("a", 100)]);
        set_heat(&mut state, 2, duty, band);
        add(&mut state, "m", 2);
        let now = observed(&state, all);
        told(&mut state, &now);
        assert_eq!(heads(&state), [1].into(), "{duty} {band}");
        let short = plan(&state, &now).shortfalls;
        assert_eq!((short[0].missing, &short[0].why), (1, &Missing::TooHot));
    }
}

#[test]
fn a_warm_board_takes_shards_and_a_hot_one_keeps_what_it_has() {
    let mut state = settled(2, 1);
    set_heat(&mut state, 1, Duty::NoNewShards, Band::Critical);
    set_heat(&mut state, 2, Duty::Full, Band::Warm);
    let now = observed(&state, all);
    assert!(told(&mut state, &now).is_empty());
    add(&mut state, "n", 1);
    let now = observed(&state, all);
    assert_eq!(told(&mut state, &now), ["place n version 1 on node-2: fewer replicas than the 1 to keep"]);
}

#[test]
fn a_replica_leaves_boards_that_drain_once_its_substitute_is_ready() {
    for duty in [Duty::Drain, Duty::Quarantine] {
        let mut state = settled(2, 1);
        set_heat(&mut state, 1, duty, Band::Hot);
        let begun = observed(&state, all);
        assert_eq!(
            told(&mut state, &begun),
            ["place m version 1 on node-2: the boards of node-1 are to be relieved"]
        );
        let loading = observed(&state, |id| id == ReplicaId(1));
        assert!(told(&mut state, &loading).is_empty(), "the old one serves meanwhile");
        let ready = observed(&state, all);
        assert_eq!(told(&mut state, &ready), ["remove replica-1: the boards of node-1 are to be relieved"]);
        assert_eq!(heads(&state), [2].into());
    }
}

#[test]
fn the_replica_that_answers_stays_where_its_substitute_is_to_leave_too() {
    let mut state = settled(3, 1);
    set_heat(&mut state, 1, Duty::Drain, Band::Hot);
    let now = observed(&state, all);
    told(&mut state, &now);
    set_heat(&mut state, 2, Duty::Drain, Band::Hot);
    let loading = observed(&state, |id| id == ReplicaId(1));
    assert_eq!(
        told(&mut state, &loading),
        [
            "remove replica-2: the boards of node-2 are to be relieved",
            "place m version 1 on node-3: the boards of node-1 are to be relieved",
        ]
    );
    let ready = observed(&state, all);
    assert_eq!(told(&mut state, &ready), ["remove replica-1: the boards of node-1 are to be relieved"]);
}

#[test]
fn nothing_is_moved_for_heat_while_a_member_could_not_read_it() {
    let mut state = settled(2, 1);
    set_heat(&mut state, 1, Duty::Drain, Band::Hot);
    register_at(&mut state, 2, "a", FeatureLevel(2));
    let now = observed(&state, all);
    assert!(told(&mut state, &now).is_empty());
}

#[test]
fn boards_that_come_back_get_nothing_back_and_lose_nothing_more() {
    let mut state = settled(2, 1);
    set_heat(&mut state, 1, Duty::Drain, Band::Hot);
    for _ in 0..2 {
        let now = observed(&state, all);
        told(&mut state, &now);
    }
    for (duty, band) in
        [(Duty::Quarantine, Band::Cool), (Duty::Probation, Band::Cool), (Duty::Full, Band::Cool)]
    {
        set_heat(&mut state, 1, duty, band);
        let now = observed(&state, all);
        assert!(told(&mut state, &now).is_empty(), "{duty}");
    }
    assert_eq!(heads(&state), [2].into());
}

#[test]
fn where_nothing_better_exists_replicas_stay_and_those_in_quarantine_are_missed() {
    let mut state = settled(2, 2);
    set_heat(&mut state, 1, Duty::Drain, Band::Hot);
    let now = observed(&state, all);
    assert!(told(&mut state, &now).is_empty());
    assert_eq!(plan(&state, &now).shortfalls, []);
    set_heat(&mut state, 1, Duty::Quarantine, Band::Hot);
    assert!(told(&mut state, &now).is_empty());
    let short = plan(&state, &now).shortfalls;
    assert_eq!((short[0].missing, &short[0].why), (1, &Missing::NoFurtherNode));
}

#[test]
fn a_substitute_that_is_not_needed_any_more_ends_as_surplus() {
    let mut state = settled(2, 1);
    set_heat(&mut state, 1, Duty::Drain, Band::Hot);
    let now = observed(&state, all);
    told(&mut state, &now);
    set_heat(&mut state, 1, Duty::Full, Band::Cool);
    let now = observed(&state, |id| id == ReplicaId(1));
    assert_eq!(told(&mut state, &now), ["remove replica-2: more replicas than the 1 to keep"]);
    assert_eq!(heads(&state), [1].into());
}

/// One model whose replica is in quarantine on node 1, with a substitute on node 2 that still loads, and node 3 free.
fn with_a_substitute() -> ClusterState {
    let mut state = settled(3, 1);
    set_heat(&mut state, 1, Duty::Quarantine, Band::Hot);
    let now = observed(&state, all);
    assert_eq!(
        told(&mut state, &now),
        ["place m version 1 on node-2: the boards of node-1 are to be relieved"]
    );
    state
}

/// Nobody answers, and a replica has failed where it stands.
fn failed(state: &ClusterState, id: u64) -> Observed {
    let replica = &state.replicas()[&ReplicaId(id)];
    let fence = Fence { replica: ReplicaId(id), generation: replica.generation };
    let failure = Failure { model: replica.model.clone(), node: replica.head().unwrap(), fence };
    Observed { failures: [failure].into(), ..observed(state, |_| false) }
}

#[test]
fn a_substitute_that_is_lost_or_fails_is_moved_to_another_node() {
    let mut state = with_a_substitute();
    let now = failed(&state, 2);
    assert_eq!(told(&mut state, &now), ["move replica-2 to node-3: it failed on node-2"]);

    let mut state = with_a_substitute();
    set_health(&mut state, 2, NodeHealth::Lost);
    let now = observed(&state, |_| false);
    assert_eq!(told(&mut state, &now), ["move replica-2 to node-3: node-2 is lost"]);
    let now = observed(&state, all);
    assert_eq!(told(&mut state, &now), ["remove replica-1: the boards of node-1 are to be relieved"]);
}

#[test]
fn a_substitute_that_failed_everywhere_stays_and_its_model_is_missed() {
    let mut state = with_a_substitute();
    let mut now = failed(&state, 2);
    assert_eq!(told(&mut state, &now).len(), 1);
    now.failures.extend(failed(&state, 2).failures);
    assert!(told(&mut state, &now).is_empty());
    let short = plan(&state, &now).shortfalls;
    assert_eq!((short[0].missing, &short[0].why), (1, &Missing::FailedEverywhere));
}

#[test]
fn a_failed_substitute_that_leaves_makes_room_for_another_model() {
    let mut state = cluster(&[("a", 10), ("a", 10), ("a", 6)]);
    register(&mut state, 1, "a");
    add(&mut state, "m", 1);
    let now = observed(&state, all);
    told(&mut state, &now);
    set_heat(&mut state, 1, Duty::Quarantine, Band::Hot);
    told(&mut state, &now);
    assert_eq!(apply(&mut state, Command::AddModel { spec: spec("n", 10, 1) }), Outcome::Applied);
    let now = failed(&state, 2);
    assert_eq!(
        told(&mut state, &now),
        [
            "move replica-2 to node-3: it failed on node-2",
            "place n version 1 on node-2: fewer replicas than the 1 to keep",
        ]
    );
}

#[test]
fn substitutes_that_run_nowhere_hold_up_no_other_model() {
    let mut state = cluster(&vec![("a", 10); 2 * MAX_RELIEFS + 2]);
    register(&mut state, 1, "a");
    for model in 0..=MAX_RELIEFS {
        add(&mut state, &format!("model-{model:02}"), 1);
    }
    let now = observed(&state, all);
    told(&mut state, &now);
    for node in heads(&state) {
        set_heat(&mut state, node, Duty::Drain, Band::Hot);
    }
    assert_eq!(told(&mut state, &now).len(), MAX_RELIEFS, "one waits");
    let substitutes: Vec<u64> = state.replicas().keys().map(|id| id.0).skip(MAX_RELIEFS + 1).collect();
    let mut now = observed(&state, |_| false);
    for failure in substitutes.iter().flat_map(|id| failed(&state, *id).failures) {
        let everywhere = state.nodes().keys().map(|node| Failure { node: *node, ..failure.clone() });
        now.failures.extend(everywhere);
    }
    let moves = told(&mut state, &now);
    assert!(moves.len() == 1 && moves[0].starts_with("place model-16 "), "{moves:?}");
}

#[test]
fn of_too_many_replicas_those_end_first_that_do_not_answer_yet() {
    let mut state = cluster(&[("a", 8), ("a", 10)]);
    register(&mut state, 1, "a");
    add(&mut state, "m", 1);
    apply_move(&mut state, place("m", whole(1)));
    set_heat(&mut state, 1, Duty::Drain, Band::Hot);
    let now = observed(&state, all);
    assert_eq!(
        told(&mut state, &now),
        ["place m version 1 on node-2: the boards of node-1 are to be relieved"]
    );
    set_heat(&mut state, 1, Duty::Full, Band::Cool);
    let loading = observed(&state, |id| id == ReplicaId(1));
    let both = observed(&state, all);
    let first = |now| plan(&state, now).moves.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(first(&loading), ["remove replica-2: more replicas than the 1 to keep"]);
    assert_eq!(first(&both), ["remove replica-1: more replicas than the 1 to keep"], "the more crowded one");
}

#[test]
fn few_replicas_leave_at_a_time_and_those_in_quarantine_first() {
    let nodes = 2 * MAX_RELIEFS as u64 + 2;
    let mut state = cluster(&vec![("a", 10); 2 * nodes as usize]);
    register(&mut state, 1, "a");
    for model in 0..nodes {
        add(&mut state, &format!("model-{model:02}"), 1);
    }
    let now = observed(&state, all);
    told(&mut state, &now);
    let hot = heads(&state);
    for node in &hot {
        set_heat(&mut state, *node, Duty::Drain, Band::Hot);
    }
    let last = *hot.last().unwrap();
    set_heat(&mut state, last, Duty::Quarantine, Band::Hot);
    let now = observed(&state, all);
    let first = told(&mut state, &now);
    assert_eq!(first.len(), MAX_RELIEFS);
    assert!(first[0].contains(&format!("node-{last} ")), "{first:?}");
    let loading = observed(&state, |_| false);
    assert!(told(&mut state, &loading).is_empty(), "the next ones wait until these are ready");
    for _ in 0..4 {
        let now = observed(&state, all);
        told(&mut state, &now);
    }
    assert!(heads(&state).is_disjoint(&hot));
    assert_eq!(state.replicas().len() as u64, nodes);
}

proptest! {
    #[test]
    fn a_model_never_has_fewer_answering_replicas_than_before_because_boards_drain(
        replicas in 1..4_u32,
        drained in prop::collection::vec(prop::option::of(0..10_u64), 6),
        quick in any::<u64>(),
    ) {
        let mut state = settled(6, replicas);
        let wanted = state.replicas().len();
        for round in 0..20_u64 {
            for (node, _) in (1..).zip(&drained).filter(|(_, drains)| **drains == Some(round)) {
                set_heat(&mut state, node, Duty::Drain, Band::Hot);
            }
            let now = observed(&state, |id| id.0 <= wanted as u64 || (quick >> ((id.0 + round) % 64)) & 1 == 1);
            let answering = now.ready.len();
            told(&mut state, &now);
            let kept = state.replicas().iter().filter(|(id, replica)| {
                let fence = Fence { replica: **id, generation: replica.generation };
                now.ready.contains(&(fence, replica.head().unwrap_or_default()))
            });
            prop_assert!(kept.count() >= wanted.min(answering));
        }
        for _ in 0..2 {
            let now = observed(&state, all);
            told(&mut state, &now);
        }
        let left = |node: &u64| drained[*node as usize - 1].is_some();
        let cool = drained.iter().filter(|drains| drains.is_none()).count();
        prop_assert_eq!(heads(&state).iter().filter(|node| left(node)).count(), wanted.saturating_sub(cool));
        prop_assert!(state.nodes().contains_key(&NodeId(1)));
    }
}

/// One thing happens to a node, and to what is seen of it.
fn happens(state: &mut ClusterState, seen: &mut BTreeSet<Failure>, node: u64, what: u8) {
    match what {
        0 => drop(set_heat(state, node, Duty::Full, Band::Cool)),
        1 => drop(set_heat(state, node, Duty::Drain, Band::Hot)),
        2 => drop(set_heat(state, node, Duty::Quarantine, Band::Hot)),
        3 => drop(set_health(state, node, NodeHealth::Lost)),
        4 => drop(set_health(state, node, NodeHealth::Live)),
        _ => {
            let there = state.replicas().iter().filter(|(_, replica)| replica.runs_on(NodeId(node)));
            seen.extend(there.flat_map(|(id, _)| failed(state, id.0).failures));
        }
    }
}

proptest! {
    #[test]
    fn whoever_leaves_has_a_substitute_that_serves_unless_no_node_could_take_one(
        replicas in 1..4_u32, events in prop::collection::vec((1..=6_u64, 0..6_u8), 1..16),
    ) {
        let mut state = settled(6, replicas);
        apply(&mut state, Command::AddModel { spec: spec("n", 10, 1) });
        let mut failures = BTreeSet::new();
        for (node, what) in events {
            happens(&mut state, &mut failures, node, what);
            let now = Observed { failures: failures.clone(), ..observed(&state, |id| id.0 % 2 == 0) };
            told(&mut state, &now);
            prop_assert_eq!(plan(&state, &now).moves, []);
            for (key, spec) in state.models() {
                let of_model = state.replicas().iter().filter(|(_, replica)| replica.model == *key);
                let sound: Vec<_> = of_model.map(|(id, _)| *id).filter(|id| !in_trouble(&state, &now, *id)).collect();
                let leaving = sound.iter().filter(|id| is_leaving(&state, **id)).count();
                if sound.len() < spec.replicas as usize + leaving {
                    prop_assert_eq!(takers(&state, &now, key), []);
                }
            }
        }
    }
}
