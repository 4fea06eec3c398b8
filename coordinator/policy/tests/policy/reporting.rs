//! Regions: to whom nodes report, who speaks for a region, who judges whom.

use std::time::Duration;

use crate::heat::report;
use crate::support::{cluster, region, register, register_at, set_health};
use helixflow_model::{CoordinatorId, FeatureLevel, NodeId};
use helixflow_policy::{
    failover::{
        Lease, LeaseTerms, Leases, REPORTER_LEASE, Signs, Wards, condensed, is_reporter, judge, listeners,
        spans_regions,
    },
    state::{ClusterState, Command, Heat, NodeHealth},
};
use proptest::prelude::*;

/// Coordinators 1 and 2 in region a, 3 and 4 in b, and three nodes, in a, b and c.
fn two_regions() -> ClusterState {
    let mut state = cluster(&[("a", 1), ("b", 1), ("c", 1)]);
    for (id, in_region) in [(1, "a"), (2, "a"), (3, "b"), (4, "b")] {
        register(&mut state, id, in_region);
    }
    state
}

fn heard_by(state: &ClusterState, of: &str) -> Vec<String> {
    listeners(state, &region(of)).into_iter().map(|coordinator| coordinator.grpc.clone()).collect()
}

/// Listening for long, with these signs, in milliseconds.
fn signs(heard: &[(u64, u64)]) -> Signs {
    let silent = heard.iter().map(|(id, age)| (CoordinatorId(*id), Duration::from_millis(*age)));
    Signs { listening: Duration::from_secs(3600), silent: silent.collect() }
}

#[test]
fn a_node_reports_to_its_own_region_and_to_all_where_that_has_no_coordinator() {
    let mut state = two_regions();
    assert_eq!(heard_by(&state, "a"), ["a:101", "a:102"]);
    assert_eq!(heard_by(&state, "b"), ["b:103", "b:104"]);
    assert_eq!(heard_by(&state, "c").len(), 4);
    register_at(&mut state, 5, "b", FeatureLevel(2));
    assert_eq!(heard_by(&state, "a").len(), 5, "one of them hears of no digests");
    assert!(!spans_regions(&state));
}

#[test]
fn the_lowest_coordinator_of_a_region_that_shows_a_sign_of_life_speaks_for_it() {
    let state = two_regions();
    let lease = REPORTER_LEASE.as_millis() as u64;
    let speaks = |id, signs: &Signs| is_reporter(&state, CoordinatorId(id), signs);
    assert!(speaks(1, &signs(&[])) && speaks(3, &signs(&[])));
    assert!(!speaks(2, &signs(&[(1, 0)])) && !speaks(2, &signs(&[(1, lease - 1)])));
    assert!(speaks(2, &signs(&[(1, lease)])));
    assert!(speaks(4, &signs(&[(1, 0)])), "other regions do not count");
    assert!(!speaks(9, &signs(&[])), "a stranger speaks for nobody");
}

#[test]
fn one_that_has_just_begun_to_listen_waits_for_a_lease() {
    let state = two_regions();
    let fresh = |listening| Signs { listening, ..Signs::default() };
    assert!(!is_reporter(&state, CoordinatorId(2), &fresh(REPORTER_LEASE / 2)));
    assert!(is_reporter(&state, CoordinatorId(2), &fresh(REPORTER_LEASE)));
    assert!(is_reporter(&state, CoordinatorId(1), &fresh(Duration::ZERO)), "there is none below it");
}

#[test]
fn in_one_region_the_leader_judges_everybody_and_elsewhere_the_reporter_its_own() {
    let includes = |wards: &Wards<'_>| ["a", "b", "c"].map(|name| wards.include(&region(name)));
    let state = two_regions();
    let wards =
        |state: &ClusterState, leads, reports| includes(&Wards::of(state, CoordinatorId(1), leads, reports));
    assert_eq!(wards(&state, false, false), [false, false, false]);
    assert_eq!(wards(&state, false, true), [true, false, false]);
    assert_eq!(
        wards(&state, true, false),
        [false, false, true],
        "who reports to all is judged by the leader"
    );
    assert_eq!(wards(&state, true, true), [true, false, true]);
    let mut one = cluster(&[("a", 1)]);
    register(&mut one, 1, "a");
    assert_eq!(wards(&one, true, true), [true, true, true]);
    assert_eq!(wards(&one, false, true), [false, false, false]);
    assert!(Wards::of(&one, CoordinatorId(1), false, true).is_empty());
}

#[test]
fn a_judge_touches_only_its_wards_and_doubts_itself_by_them_alone() {
    let mut state = two_regions();
    set_health(&mut state, 2, NodeHealth::Lost);
    let steady = Duration::from_secs(3600);
    let silent = |seconds| Lease { silent: Duration::from_secs(seconds), steady };
    let nodes = [(NodeId(1), silent(12)), (NodeId(2), silent(0)), (NodeId(3), silent(12))];
    let leases = Leases { tenure: steady, nodes: nodes.into(), ..Leases::default() };
    let judged = |id, leads, reports| -> Vec<u64> {
        let wards = Wards::of(&state, CoordinatorId(id), leads, reports);
        let verdicts = judge(&state, &leases, &LeaseTerms::default(), &wards);
        let node = |command: &Command| match command {
            Command::SetNodeHealth { node, .. } => node.0,
            other => panic!("{other:?} is no verdict"),
        };
        verdicts.iter().map(node).collect()
    };
    assert_eq!(judged(3, false, true), [2], "b's node is back");
    assert_eq!(judged(1, false, true), <[u64; 0]>::default(), "all of a is silent: the judge may be cut off");
    assert_eq!(judged(3, false, false), <[u64; 0]>::default());
}

#[test]
fn a_report_that_is_passed_on_ages_and_its_boards_ages_count_from_when_it_was_made() {
    let mut said = report(1, &[Heat::default()]);
    (said.age, said.boards[0].age) = (Duration::from_millis(40), Duration::from_millis(200));
    let passed_on = condensed(&said, Duration::from_secs(3));
    assert_eq!(passed_on.age, Duration::from_millis(3040));
    assert_eq!(passed_on.boards[0].age, Duration::from_millis(200), "the report's own age comes on top");
}

proptest! {
    #[test]
    fn of_those_that_hear_each_other_exactly_one_speaks(
        placed in prop::collection::vec(0..2_usize, 1..8), alive in prop::collection::vec(any::<bool>(), 8),
    ) {
        let mut state = cluster(&[]);
        for (id, in_region) in (1..).zip(&placed) {
            register(&mut state, id, ["a", "b"][*in_region]);
        }
        let lives = |id: u64| alive[id as usize - 1];
        let heard: Vec<_> = (1..=placed.len() as u64).filter(|id| lives(*id)).map(|id| (id, 200)).collect();
        for in_region in 0..2 {
            let living: Vec<u64> = heard.iter().map(|(id, _)| *id).filter(|id| placed[*id as usize - 1] == in_region).collect();
            let speaking: Vec<_> = living.iter().filter(|id| is_reporter(&state, CoordinatorId(**id), &signs(&heard))).collect();
            prop_assert_eq!(speaking, living.first().into_iter().collect::<Vec<_>>());
        }
    }
}
