//! Routing: what the table makes of log and reports, and what is picked from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use helixflow_model::{
    Epoch, Fence, Generation, LoadReport, NodeId, NumericsClass, Region, ReplicaId, ReplicaPhase,
};
use helixflow_policy::{
    routing::{NoReplica, Own, PickContext, RoutingTable, pick},
    state::{Command, MoveReason, NodeHealth},
};
use proptest::prelude::*;

use crate::{
    fleet::{all_ready, load_of, numbers, picked, replica_of, says, served, shares, table},
    support::{apply, apply_move, cluster, model, place, region, set_health, spec, whole},
};

#[test]
fn a_model_nobody_added_is_unknown_and_so_is_a_version() {
    let state = served(&["a"]);
    let table = table(&state, &all_ready(&state));
    let here = region("a");
    let context = PickContext { region: &here, exclude: &[], numerics: None, random: 0 };
    assert!(matches!(
        pick(&table, &model("n"), None, &context, |_| Own::default()),
        Err(NoReplica::UnknownModel { .. })
    ));
    assert!(matches!(
        pick(&table, &model("m"), Some("2"), &context, |_| Own::default()),
        Err(NoReplica::UnknownVersion { .. })
    ));
    assert!(pick(&table, &model("m"), Some("1"), &context, |_| Own::default()).is_ok());
}

#[test]
fn what_is_not_ready_is_named_by_what_it_waits_for() {
    let state = served(&["a"]);
    let told = |phase| {
        let heard = BTreeMap::from([(NodeId(1), says(&state, 1, phase))]);
        picked(&table(&state, &heard), "a", 0)
    };
    let m = model("m");
    assert_eq!(told(ReplicaPhase::Fetching), Err(NoReplica::Loading { model: m.clone() }));
    assert_eq!(told(ReplicaPhase::Loading), Err(NoReplica::Loading { model: m.clone() }));
    assert_eq!(told(ReplicaPhase::Draining), Err(NoReplica::Draining { model: m.clone() }));
    assert_eq!(told(ReplicaPhase::Failed), Err(NoReplica::NoneReady { model: m.clone() }));
    assert_eq!(told(ReplicaPhase::Ready), Ok(1));
    let unheard = table(&state, &BTreeMap::new());
    assert_eq!(picked(&unheard, "a", 0), Err(NoReplica::Loading { model: m }));
}

#[test]
fn a_model_without_any_replica_has_none_ready() {
    let mut state = cluster(&[("a", 10)]);
    apply(&mut state, Command::AddModel { spec: spec("m", 5, 1) });
    let table = table(&state, &BTreeMap::new());
    assert_eq!(picked(&table, "a", 0), Err(NoReplica::NoneReady { model: model("m") }));
}

#[test]
fn equals_are_picked_equally_often() {
    let state = served(&["a", "a", "a"]);
    let shares = shares(&table(&state, &all_ready(&state)), "a");
    assert!(shares.len() == 3 && shares.values().all(|share| (900..1100).contains(share)), "{shares:?}");
}

#[test]
fn the_busiest_is_picked_least() {
    let state = served(&["a", "a", "a"]);
    let mut heard = all_ready(&state);
    load_of(&mut heard, 1).active = 1;
    load_of(&mut heard, 2).active = 4;
    load_of(&mut heard, 3).active = 4;
    load_of(&mut heard, 3).queued = 10;
    let shares = shares(&table(&state, &heard), "a");
    assert!(shares[&1] > shares[&2] && !shares.contains_key(&3), "{shares:?}");
}

#[test]
fn a_burst_between_two_reports_spreads() {
    let state = served(&["a", "a", "a"]);
    let table = table(&state, &all_ready(&state));
    let here = region("a");
    let mut own = BTreeMap::new();
    for random in numbers().take(300) {
        let context = PickContext { region: &here, exclude: &[], numerics: None, random };
        let under_way = |replica: ReplicaId| own.get(&replica).copied().unwrap_or_default();
        let replica = pick(&table, &model("m"), None, &context, under_way).unwrap().candidate.fence.replica;
        own.entry(replica).or_insert_with(Own::default).under_way += 1;
    }
    assert!(own.len() == 3 && own.values().all(|own| (97..=103).contains(&own.under_way)), "{own:?}");
}

const fn under_way(requests: u32) -> Own {
    Own { under_way: requests, unanswered: 0 }
}

/// The node of every pick, whatever is drawn.
fn picked_with(table: &RoutingTable, own: impl Fn(ReplicaId) -> Own) -> NodeId {
    let here = region("a");
    let node = |random| {
        let context = PickContext { region: &here, exclude: &[], numerics: None, random };
        pick(table, &model("m"), None, &context, &own).unwrap().candidate.node
    };
    let nodes: BTreeSet<NodeId> = numbers().take(100).map(node).collect();
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    nodes.into_iter().next().unwrap()
}

#[test]
fn own_requests_that_the_report_tells_of_already_count_once() {
    let state = served(&["a", "a"]);
    let mut heard = all_ready(&state);
    load_of(&mut heard, 1).active = 4;
    load_of(&mut heard, 2).active = 5;
    let table = table(&state, &heard);
    let here = region("a");
    for random in numbers().take(100) {
        let context = PickContext { region: &here, exclude: &[], numerics: None, random };
        let own = |replica: ReplicaId| under_way(if replica == ReplicaId(1) { 4 } else { 0 });
        assert_eq!(pick(&table, &model("m"), None, &context, own).unwrap().candidate.node, NodeId(1));
    }
}

#[test]
fn a_replica_that_still_computes_own_prompts_is_left_alone_for_a_few_requests_in_the_batch() {
    let state = served(&["a", "a"]);
    let mut heard = all_ready(&state);
    load_of(&mut heard, 1).active = 10;
    load_of(&mut heard, 2).active = 8;
    let table = table(&state, &heard);
    let picked = |unanswered| {
        let own = |replica: ReplicaId| Own {
            unanswered: if replica == ReplicaId(2) { unanswered } else { 0 },
            under_way: 8,
        };
        picked_with(&table, own)
    };
    assert_eq!((picked(0), picked(1)), (NodeId(2), NodeId(1)));
}

#[test]
fn a_free_place_in_the_batch_is_worth_more_than_a_shorter_step() {
    let state = served(&["a", "a"]);
    let mut heard = all_ready(&state);
    *load_of(&mut heard, 1) = LoadReport { active: 12, sequences: 16, ..LoadReport::default() };
    *load_of(&mut heard, 2) = LoadReport { active: 7, sequences: 8, ..LoadReport::default() };
    let table = table(&state, &heard);
    let picked =
        |sent| picked_with(&table, |replica| under_way(if replica == ReplicaId(2) { sent } else { 0 }));
    assert_eq!((picked(7), picked(8)), (NodeId(2), NodeId(1)));
}

#[test]
fn the_own_region_is_preferred_until_waiting_there_costs_more_than_the_way() {
    let state = served(&["a", "b", "b"]);
    let mut heard = all_ready(&state);
    assert_eq!(shares(&table(&state, &heard), "a").keys().collect::<Vec<_>>(), [&1]);
    load_of(&mut heard, 1).active = 1;
    assert_eq!(shares(&table(&state, &heard), "a").keys().collect::<Vec<_>>(), [&1]);
    load_of(&mut heard, 1).queued = 50;
    assert_eq!(shares(&table(&state, &heard), "a").keys().collect::<Vec<_>>(), [&2, &3]);
}

#[test]
fn late_telemetry_costs_weight_and_never_stops_the_service() {
    let state = served(&["a", "a"]);
    let mut heard = all_ready(&state);
    heard.get_mut(&NodeId(1)).unwrap().age = Duration::from_secs(8);
    assert_eq!(shares(&table(&state, &heard), "a").keys().collect::<Vec<_>>(), [&2]);
    heard.get_mut(&NodeId(2)).unwrap().age = Duration::from_secs(8);
    assert_eq!(shares(&table(&state, &heard), "a").len(), 2);
}

#[test]
fn a_lost_node_counts_only_while_it_is_still_heard() {
    let mut state = served(&["a"]);
    set_health(&mut state, 1, NodeHealth::Lost);
    let mut heard = all_ready(&state);
    assert_eq!(picked(&table(&state, &heard), "a", 0), Ok(1));
    heard.get_mut(&NodeId(1)).unwrap().age = Duration::from_secs(4);
    let none = Err(NoReplica::NoneReady { model: model("m") });
    assert_eq!(picked(&table(&state, &heard), "a", 0), none);
}

#[test]
fn a_node_at_an_old_generation_is_not_ready_and_one_at_a_later_log_is_believed() {
    let mut state = served(&["a"]);
    let mut heard = all_ready(&state);
    let fence = Fence { replica: ReplicaId(1), generation: Generation(1) };
    let reason = MoveReason::NodeLost { node: NodeId(1) };
    let step = helixflow_policy::state::Move::MoveReplica { fence, parts: whole(1), reason };
    apply_move(&mut state, step);
    let behind = table(&state, &heard);
    assert_eq!(picked(&behind, "a", 0), Err(NoReplica::Loading { model: model("m") }));

    let replica = replica_of(&mut heard, 1);
    replica.fence.generation = Generation(3);
    replica.epoch = Epoch(state.epoch().0 + 1);
    let ahead = table(&state, &heard);
    let fences: Vec<_> = ahead.ready(&model("m")).map(|candidate| candidate.fence.generation).collect();
    assert_eq!(fences, [Generation(3)]);
}

#[test]
fn a_replica_that_the_own_log_does_not_tell_yet_serves_and_an_ended_one_does_not() {
    let mut state = served(&["a", "a"]);
    let mut heard = all_ready(&state);
    let fence = Fence { replica: ReplicaId(1), generation: Generation(1) };
    let reason = MoveReason::AboveTarget { target: 1 };
    apply_move(&mut state, helixflow_policy::state::Move::RemoveReplica { fence, reason });
    let replica = replica_of(&mut heard, 2);
    replica.fence.replica = ReplicaId(7);
    replica.epoch = Epoch(state.epoch().0 + 1);
    let table = table(&state, &heard);
    let ready: Vec<_> = table.ready(&model("m")).map(|candidate| candidate.fence.replica.0).collect();
    assert_eq!(ready, [7]);
}

#[test]
fn without_a_version_the_newest_that_is_ready_answers() {
    let mut state = cluster(&[("a", 10), ("a", 10), ("a", 10)]);
    for (node, version) in [(1, "9"), (2, "10"), (3, "11")] {
        let mut spec = spec("m", 5, 1);
        spec.version = version.to_owned();
        apply(&mut state, Command::AddModel { spec });
        let mut step = place("m", whole(node));
        if let helixflow_policy::state::Move::PlaceReplica { version: placed, .. } = &mut step {
            *placed = version.to_owned();
        }
        apply_move(&mut state, step);
    }
    let mut heard = all_ready(&state);
    heard.insert(NodeId(3), says(&state, 3, ReplicaPhase::Loading));
    let table = table(&state, &heard);
    let here = region("a");
    let context = PickContext { region: &here, exclude: &[], numerics: None, random: 0 };
    assert_eq!(pick(&table, &model("m"), None, &context, |_| Own::default()).unwrap().version, "10");
    assert_eq!(
        pick(&table, &model("m"), Some("9"), &context, |_| Own::default()).unwrap().candidate.node,
        NodeId(1)
    );
    let loading = pick(&table, &model("m"), Some("11"), &context, |_| Own::default());
    assert!(matches!(loading, Err(NoReplica::Loading { .. })));
}

#[test]
fn a_continuation_goes_only_to_its_own_numerics() {
    let state = served(&["a", "a"]);
    let mut heard = all_ready(&state);
    replica_of(&mut heard, 2).numerics = NumericsClass("gpu-1".to_owned());
    let table = table(&state, &heard);
    let (here, cpu) = (region("a"), NumericsClass("cpu-1".to_owned()));
    let tried = [ReplicaId(1)];
    let context = PickContext { region: &here, exclude: &[], numerics: Some(&cpu), random: 0 };
    assert_eq!(
        pick(&table, &model("m"), None, &context, |_| Own::default()).unwrap().candidate.node,
        NodeId(1)
    );
    let again =
        pick(&table, &model("m"), None, &PickContext { exclude: &tried, ..context }, |_| Own::default());
    assert!(matches!(again, Err(NoReplica::OtherNumerics { .. })), "{again:?}");
    let anything =
        pick(&table, &model("m"), None, &PickContext { exclude: &tried, numerics: None, ..context }, |_| {
            Own::default()
        });
    assert_eq!(anything.unwrap().candidate.node, NodeId(2));
}

fn any_phase() -> impl Strategy<Value = ReplicaPhase> {
    prop_oneof![
        3 => Just(ReplicaPhase::Ready),
        1 => Just(ReplicaPhase::Loading),
        1 => Just(ReplicaPhase::Draining),
        1 => Just(ReplicaPhase::Failed),
    ]
}

fn any_load() -> impl Strategy<Value = LoadReport> {
    (0..20_u32, 0..20_u32, 0..200_000_u64).prop_map(|(queued, active, millitokens_per_second)| LoadReport {
        queued,
        active,
        millitokens_per_second,
        ..LoadReport::default()
    })
}

/// What each of five nodes says; `None` for a node that is not heard.
fn any_reports() -> impl Strategy<Value = Vec<Option<(ReplicaPhase, LoadReport, u64)>>> {
    prop::collection::vec(prop::option::weighted(0.9, (any_phase(), any_load(), 0..60_000_u64)), 5)
}

proptest! {
    #[test]
    fn a_pick_is_ready_and_not_excluded_and_there_is_one_when_there_can_be(
        reports in any_reports(),
        exclude in prop::collection::vec(1..6_u64, 0..4),
        in_a in any::<bool>(),
        random in any::<u64>(),
    ) {
        let state = served(&["a", "a", "b", "b", "c"]);
        let mut heard = BTreeMap::new();
        for (node, said) in (1..).zip(reports) {
            let Some((phase, load, age)) = said else { continue };
            let mut says = says(&state, node, phase);
            Arc::make_mut(&mut says.report).replicas[0].load = load;
            says.age = Duration::from_millis(age);
            heard.insert(NodeId(node), says);
        }
        let table = table(&state, &heard);
        let here: Region = region(if in_a { "a" } else { "elsewhere" });
        let exclude: Vec<ReplicaId> = exclude.into_iter().map(ReplicaId).collect();
        let context = PickContext { region: &here, exclude: &exclude, numerics: None, random };
        let ready = |node: &NodeId| {
            heard.get(node).is_some_and(|heard| heard.report.replicas[0].phase == ReplicaPhase::Ready)
        };
        let possible = state.nodes().keys().any(|node| ready(node) && !exclude.contains(&ReplicaId(node.0)));
        match pick(&table, &model("m"), None, &context, |_| Own::default()) {
            Ok(picked) => {
                prop_assert!(ready(&picked.candidate.node));
                prop_assert!(!exclude.contains(&picked.candidate.fence.replica));
                prop_assert_eq!(pick(&table, &model("m"), None, &context, |_| Own::default()), Ok(picked));
            }
            Err(why) => prop_assert!(!possible, "{}", why),
        }
    }

    #[test]
    fn any_random_number_picks_among_equals(random in any::<u64>(), nodes in 1..9_usize) {
        let state = served(&vec!["a"; nodes]);
        prop_assert!(picked(&table(&state, &all_ready(&state)), "a", random).is_ok());
    }
}
