//! Placement: what is planned for which cluster, and what holds for every plan.

use std::{collections::BTreeSet, time::Duration};

use helixflow_model::{
    Bytes, Epoch, Fence, Generation, LoadReport, NodeId, NodeReport, NumericsClass, ReplicaId, ReplicaPhase,
    ReplicaReport,
};
use helixflow_policy::{
    check::check,
    placement::{Failure, FailureLog, Missing, Observed, Plan, plan},
    state::{ClusterState, Command, ModelKey, NodeHealth, Outcome},
};
use proptest::prelude::*;

use crate::support::{any_log, apply, cluster, fitted, join, model, region, set_health, spec};

/// Every node of the state reports, nothing failed.
fn all_well(state: &ClusterState) -> Observed {
    Observed { live: state.nodes().keys().copied().collect(), ..Observed::default() }
}

fn add(state: &mut ClusterState, name: &str, memory: u64, replicas: u32) {
    let outcome = apply(state, Command::AddModel { spec: spec(name, memory, replicas) });
    assert_eq!(outcome, Outcome::Applied);
}

fn carry_out(state: &mut ClusterState, planned: Plan) {
    if let Some(command) = planned.into_command() {
        assert_eq!(apply(state, command), Outcome::Applied);
    }
    assert_eq!(check(state), []);
}

/// Plans, carries it out and tells the moves.
fn told(state: &mut ClusterState, observed: &Observed) -> Vec<String> {
    let planned = plan(state, observed);
    let moves = planned.moves.iter().map(ToString::to_string).collect();
    carry_out(state, planned);
    moves
}

fn missing(state: &ClusterState, observed: &Observed) -> Vec<(u32, Missing)> {
    plan(state, observed).shortfalls.into_iter().map(|short| (short.missing, short.why)).collect()
}

fn failure(name: &str, node: u64, replica: u64, generation: u64) -> Failure {
    let model = ModelKey { id: model(name), version: "1".to_owned() };
    let fence = Fence { replica: ReplicaId(replica), generation: Generation(generation) };
    Failure { model, node: NodeId(node), fence }
}

#[test]
fn an_empty_cluster_needs_nothing() {
    assert!(plan(&ClusterState::default(), &Observed::default()).is_empty());
}

#[test]
fn each_of_three_nodes_gets_its_replica() {
    let mut state = cluster(&[("a", 10), ("b", 10), ("c", 10)]);
    add(&mut state, "m", 6, 3);
    let observed = all_well(&state);
    assert_eq!(
        told(&mut state, &observed),
        [
            "place m version 1 on node-1: fewer replicas than the 3 to keep",
            "place m version 1 on node-2: fewer replicas than the 3 to keep",
            "place m version 1 on node-3: fewer replicas than the 3 to keep",
        ]
    );
    assert_eq!(plan(&state, &observed).shortfalls, []);
}

#[test]
fn replicas_are_spread_over_regions_before_nodes() {
    let mut state = cluster(&[("a", 100), ("a", 100), ("b", 10), ("b", 10)]);
    add(&mut state, "m", 6, 2);
    let observed = all_well(&state);
    told(&mut state, &observed);
    let heads: Vec<_> = state.replicas().values().filter_map(|replica| replica.head()).collect();
    assert_eq!(heads, [NodeId(1), NodeId(3)]);
}

#[test]
fn the_least_loaded_node_is_taken_by_its_share_of_memory() {
    let mut state = cluster(&[("a", 20), ("a", 40)]);
    add(&mut state, "m", 10, 1);
    let observed = all_well(&state);
    told(&mut state, &observed);
    assert_eq!(state.replicas()[&ReplicaId(1)].head(), Some(NodeId(2)));
}

#[test]
fn every_model_gets_its_first_replica_before_any_gets_its_second() {
    let mut state = cluster(&[("a", 10), ("a", 10)]);
    add(&mut state, "large", 8, 2);
    add(&mut state, "small", 6, 2);
    let observed = all_well(&state);
    let models: Vec<String> = {
        told(&mut state, &observed);
        state.replicas().values().map(|replica| replica.model.id.to_string()).collect()
    };
    assert_eq!(models, ["large", "small"]);
    let full = Missing::NotEnoughMemory { needed: Bytes(8), free: Bytes(4) };
    let full_too = Missing::NotEnoughMemory { needed: Bytes(6), free: Bytes(2) };
    assert_eq!(missing(&state, &observed), [(1, full), (1, full_too)]);
}

#[test]
fn the_replica_of_a_lost_node_is_moved_where_there_is_room() {
    let mut state = cluster(&[("a", 10), ("b", 10), ("c", 10)]);
    add(&mut state, "m", 6, 2);
    let mut observed = all_well(&state);
    told(&mut state, &observed);
    observed.live.remove(&NodeId(1));
    assert!(told(&mut state, &observed).is_empty(), "silence alone moves nothing");
    set_health(&mut state, 1, NodeHealth::Lost);
    assert_eq!(told(&mut state, &observed), ["move replica-1 to node-3: node-1 is lost"]);
    assert_eq!(state.replicas()[&ReplicaId(1)].generation, Generation(2));
    set_health(&mut state, 1, NodeHealth::Live);
    let observed = all_well(&state);
    assert!(told(&mut state, &observed).is_empty(), "a return moves nothing back");
}

#[test]
fn the_replica_of_a_lost_node_waits_there_when_no_room_is_left() {
    let mut state = cluster(&[("a", 10), ("b", 10)]);
    add(&mut state, "m", 6, 2);
    let mut observed = all_well(&state);
    told(&mut state, &observed);
    set_health(&mut state, 1, NodeHealth::Lost);
    observed.live.remove(&NodeId(1));
    assert!(plan(&state, &observed).is_empty());
    assert_eq!(missing(&state, &observed), [(1, Missing::NoFurtherNode)]);
    apply(&mut state, join(9, "a", 10));
    observed.live.insert(NodeId(3));
    assert_eq!(told(&mut state, &observed), ["move replica-1 to node-3: node-1 is lost"]);
}

#[test]
fn a_failed_replica_is_moved_once_to_each_node_and_then_left() {
    let mut state = cluster(&[("a", 10), ("a", 10)]);
    add(&mut state, "m", 6, 1);
    let mut observed = all_well(&state);
    told(&mut state, &observed);
    observed.failures.insert(failure("m", 1, 1, 1));
    assert_eq!(told(&mut state, &observed), ["move replica-1 to node-2: it failed on node-1"]);
    observed.failures.insert(failure("m", 2, 1, 2));
    assert!(plan(&state, &observed).is_empty());
    assert_eq!(missing(&state, &observed), [(1, Missing::FailedEverywhere)]);
}

#[test]
fn a_failed_replica_that_stays_keeps_its_memory() {
    let mut state = cluster(&[("a", 10)]);
    add(&mut state, "m", 6, 1);
    let mut observed = all_well(&state);
    told(&mut state, &observed);
    add(&mut state, "n", 5, 1);
    observed.failures.insert(failure("m", 1, 1, 1));
    assert!(plan(&state, &observed).is_empty());
    let full = Missing::NotEnoughMemory { needed: Bytes(5), free: Bytes(4) };
    assert_eq!(missing(&state, &observed), [(1, Missing::FailedEverywhere), (1, full)]);
}

#[test]
fn a_failed_replica_that_leaves_makes_room_for_another_model() {
    let mut state = cluster(&[("a", 10)]);
    add(&mut state, "m", 6, 1);
    let mut observed = all_well(&state);
    told(&mut state, &observed);
    apply(&mut state, join(9, "a", 6));
    observed.live.insert(NodeId(2));
    observed.failures.insert(failure("m", 1, 1, 1));
    add(&mut state, "n", 10, 1);
    assert_eq!(
        told(&mut state, &observed),
        [
            "move replica-1 to node-2: it failed on node-1",
            "place n version 1 on node-1: fewer replicas than the 1 to keep",
        ]
    );
}

#[test]
fn a_model_scaled_down_ends_its_replicas_from_the_fullest_region() {
    let mut state = cluster(&[("a", 10), ("a", 10), ("b", 10)]);
    add(&mut state, "m", 6, 3);
    let observed = all_well(&state);
    told(&mut state, &observed);
    let scale = |replicas| Command::ScaleModel { model: model("m"), version: "1".to_owned(), replicas };
    apply(&mut state, scale(2));
    assert_eq!(told(&mut state, &observed).len(), 1);
    let kept: BTreeSet<_> = state
        .replicas()
        .values()
        .filter_map(|r| r.head())
        .map(|id| state.nodes()[&id].region.clone())
        .collect();
    assert_eq!(kept, BTreeSet::from([region("a"), region("b")]));
    apply(&mut state, scale(0));
    assert_eq!(told(&mut state, &observed).len(), 2);
    assert!(state.replicas().is_empty());
}

#[test]
fn surplus_is_taken_from_lost_nodes_first() {
    let mut state = cluster(&[("a", 10), ("b", 10)]);
    add(&mut state, "m", 6, 2);
    let observed = all_well(&state);
    told(&mut state, &observed);
    set_health(&mut state, 1, NodeHealth::Lost);
    apply(&mut state, Command::ScaleModel { model: model("m"), version: "1".to_owned(), replicas: 1 });
    assert_eq!(told(&mut state, &observed), ["remove replica-1: more replicas than the 1 to keep"]);
}

#[test]
fn a_cluster_without_nodes_says_so() {
    let mut state = cluster(&[]);
    add(&mut state, "m", 6, 2);
    assert_eq!(missing(&state, &Observed::default()), [(2, Missing::NoLiveNode)]);
}

#[test]
fn a_failure_counts_until_the_model_is_ready_there_or_time_has_passed() {
    let report = |phase| NodeReport {
        node: NodeId(1),
        region: region("a"),
        advertise: "h:1".to_owned(),
        sequence: 1,
        age: Duration::ZERO,
        boards: Vec::new(),
        replicas: vec![ReplicaReport {
            fence: Fence { replica: ReplicaId(1), generation: Generation(1) },
            epoch: Epoch(1),
            model: model("m"),
            version: "1".to_owned(),
            phase,
            detail: String::new(),
            numerics: NumericsClass("cpu-1".to_owned()),
            load: LoadReport::default(),
            boards: Vec::new(),
        }],
    };
    let mut log = FailureLog::default();
    let at = Duration::from_secs;
    log.note(&report(ReplicaPhase::Failed), at(10));
    assert_eq!(log.recent(at(11)), BTreeSet::from([failure("m", 1, 1, 1)]));
    log.note(&report(ReplicaPhase::Loading), at(12));
    assert_eq!(log.recent(at(609)).len(), 1);
    assert_eq!(log.recent(at(610)).len(), 0);
    log.note(&report(ReplicaPhase::Failed), at(700));
    log.note(&report(ReplicaPhase::Ready), at(701));
    assert_eq!(log.recent(at(702)).len(), 0);
}

/// A reachable state, and what its leader might see.
fn any_situation() -> impl Strategy<Value = (ClusterState, Observed)> {
    (any_log(80), prop::collection::vec(any::<bool>(), 8), prop::collection::vec(any::<u8>(), 0..6)).prop_map(
        |(log, heard, failed)| {
            let mut state = ClusterState::default();
            for command in log {
                let command = fitted(&state, command);
                apply(&mut state, command);
            }
            let live =
                state.nodes().keys().zip(heard).filter(|(_, heard)| *heard).map(|(id, _)| *id).collect();
            let failures = failed.into_iter().filter_map(|pick| {
                let (id, replica) = state.replicas().iter().nth(usize::from(pick % 8))?;
                let fence = Fence { replica: *id, generation: replica.generation };
                Some(Failure { model: replica.model.clone(), node: replica.head()?, fence })
            });
            let failures = failures.collect();
            // Of two replicas one is ready.
            let ready = state.replicas().iter().filter(|(id, _)| id.0 % 2 == 0);
            let ready = ready.flat_map(|(id, replica)| {
                let fence = Fence { replica: *id, generation: replica.generation };
                replica.parts.iter().map(move |part| (fence, part.node))
            });
            let ready = ready.collect();
            (state, Observed { live, failures, ready })
        },
    )
}

/// Whether a replica runs on a lost node, or failed.
pub(crate) fn in_trouble(state: &ClusterState, observed: &Observed, id: ReplicaId) -> bool {
    let replica = &state.replicas()[&id];
    let fence = Fence { replica: id, generation: replica.generation };
    replica.parts.iter().any(|part| state.nodes()[&part.node].health == NodeHealth::Lost)
        || observed.failures.iter().any(|failure| failure.fence == fence && replica.runs_on(failure.node))
}

/// Whether a replica runs on boards that are to be relieved.
pub(crate) fn is_leaving(state: &ClusterState, id: ReplicaId) -> bool {
    let parts = &state.replicas()[&id].parts;
    parts.iter().any(|part| !state.nodes()[&part.node].heat.heat.duty.keeps_shards())
}

/// Nodes that could take one more replica of a model.
pub(crate) fn takers(state: &ClusterState, observed: &Observed, key: &ModelKey) -> Vec<NodeId> {
    let committed = state.committed();
    let has = |id: &NodeId| state.replicas().values().any(|r| r.model == *key && r.runs_on(*id));
    let failed = |id: &NodeId| observed.failures.iter().any(|f| f.node == *id && f.model == *key);
    let takers = state.nodes().iter().filter(|(id, node)| {
        let taken = committed.get(id).map_or(0, |taken| taken.0);
        let spec = &state.models()[key];
        let fits = taken + spec.memory.0 <= node.capacity.memory.0;
        let fits = fits && node.suits(spec) && node.heat.heat.takes_shards();
        node.health == NodeHealth::Live && observed.live.contains(id) && fits && !has(id) && !failed(id)
    });
    takers.map(|(id, _)| *id).collect()
}

proptest! {
    #[test]
    fn a_plan_is_accepted_whole_and_leaves_nothing_to_do((mut state, observed) in any_situation()) {
        let planned = plan(&state, &observed);
        prop_assert_eq!(&planned, &plan(&state, &observed));
        let shortfalls = planned.shortfalls.clone();
        if let Some(command) = planned.into_command() {
            prop_assert_eq!(apply(&mut state, command), Outcome::Applied);
        }
        prop_assert_eq!(check(&state), []);
        let again = plan(&state, &observed);
        prop_assert!(again.is_empty(), "{:?}", again.moves);
        let short = |all: &[helixflow_policy::placement::Shortfall]| -> Vec<_> {
            all.iter().map(|short| (short.model.clone(), short.missing)).collect()
        };
        prop_assert_eq!(short(&again.shortfalls), short(&shortfalls));
    }

    #[test]
    fn what_serves_is_never_moved_and_ends_only_as_surplus((mut state, observed) in any_situation()) {
        let before = state.clone();
        carry_out(&mut state, plan(&before, &observed));
        for (id, replica) in before.replicas() {
            let sound = !in_trouble(&before, &observed, *id);
            match state.replicas().get(id) {
                Some(after) => prop_assert!(!sound || after == replica, "{} was moved without need", id),
                None => {
                    let held = before.replicas().values().filter(|r| r.model == replica.model).count();
                    prop_assert!(held > before.models()[&replica.model].replicas as usize);
                }
            }
        }
    }

    #[test]
    fn replicas_are_missing_only_when_no_node_could_take_one((mut state, observed) in any_situation()) {
        let planned = plan(&state, &observed);
        carry_out(&mut state, planned);
        for (key, spec) in state.models() {
            let held: Vec<_> = state.replicas().iter().filter(|(_, r)| r.model == *key).map(|(id, _)| *id).collect();
            let serving = held.iter().filter(|id| !in_trouble(&state, &observed, **id)).count();
            let leaving = held.iter().filter(|id| is_leaving(&state, **id)).count();
            prop_assert!(held.len() <= spec.replicas as usize + leaving);
            if serving < spec.replicas as usize {
                prop_assert_eq!(takers(&state, &observed, key), []);
            }
        }
    }

    #[test]
    fn new_replicas_stand_only_on_nodes_that_are_heard_and_cool((mut state, observed) in any_situation()) {
        let before = state.clone();
        carry_out(&mut state, plan(&before, &observed));
        for (id, replica) in state.replicas() {
            if before.replicas().get(id) != Some(replica) {
                prop_assert!(replica.parts.iter().all(|part| observed.live.contains(&part.node)));
                let cool = |node: &NodeId| state.nodes()[node].heat.heat.takes_shards();
                prop_assert!(replica.parts.iter().all(|part| cool(&part.node)));
            }
        }
    }
}
