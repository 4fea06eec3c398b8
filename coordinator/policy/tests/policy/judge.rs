//! Nodes judged by the age of their reports: lost, back, and the judge's doubt in itself.

use std::time::Duration;

use helixflow_model::{CoordinatorId, NodeId};
use helixflow_policy::{
    check::check,
    failover::{Lease, LeaseTerms, Leases, ReportTimes, Wards, judge},
    state::{ClusterState, Command, NodeHealth, Outcome},
};
use proptest::prelude::*;

use crate::support::{apply, cluster, join, set_health};

const HOUR: Duration = Duration::from_secs(3600);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A judge of long tenure, and nodes silent for so many seconds after an hour of steady reports.
fn leases(silent: &[u64]) -> Leases {
    let nodes = (1..)
        .zip(silent)
        .map(|(node, silent)| (NodeId(node), Lease { silent: seconds(*silent), steady: HOUR }));
    Leases { tenure: HOUR, nodes: nodes.collect(), ..Leases::default() }
}

/// The wards of the leader in a cluster of one region.
fn everybody(state: &ClusterState) -> Wards<'_> {
    Wards::of(state, CoordinatorId(1), true, false)
}

fn verdicts(state: &ClusterState, leases: &Leases) -> Vec<(u64, NodeHealth)> {
    let verdict = |command| match command {
        Command::SetNodeHealth { node, health, .. } => (node.0, health),
        other => panic!("{other:?} is no verdict"),
    };
    judge(state, leases, &LeaseTerms::default(), &everybody(state)).into_iter().map(verdict).collect()
}

#[test]
fn a_node_silent_for_its_lease_is_lost_and_the_others_are_not() {
    let state = cluster(&[("a", 1), ("a", 1), ("b", 1)]);
    assert_eq!(verdicts(&state, &leases(&[0, 9, 1])), []);
    assert_eq!(verdicts(&state, &leases(&[0, 10, 1])), [(2, NodeHealth::Lost)]);
}

#[test]
fn a_node_never_heard_of_is_lost_once_the_judge_listened_for_a_lease() {
    let state = cluster(&[("a", 1), ("a", 1)]);
    let mut known = leases(&[0]);
    assert_eq!(verdicts(&state, &known), [(2, NodeHealth::Lost)]);
    known.tenure = seconds(9);
    assert_eq!(verdicts(&state, &known), []);
}

#[test]
fn a_new_judge_grants_everybody_a_whole_lease() {
    let state = cluster(&[("a", 1), ("a", 1)]);
    let mut known = leases(&[0, 600]);
    known.tenure = seconds(3);
    assert_eq!(verdicts(&state, &known), []);
}

#[test]
fn a_judge_that_hears_nobody_doubts_itself_first() {
    let state = cluster(&[("a", 1), ("a", 1)]);
    assert_eq!(verdicts(&state, &leases(&[12, 12])), []);
    assert_eq!(verdicts(&state, &leases(&[31, 30])), [(1, NodeHealth::Lost), (2, NodeHealth::Lost)]);
}

#[test]
fn a_lost_node_is_back_only_when_it_reports_steadily() {
    let mut state = cluster(&[("a", 1), ("a", 1)]);
    set_health(&mut state, 1, NodeHealth::Lost);
    let mut known = leases(&[0, 0]);
    known.nodes.insert(NodeId(1), Lease { silent: seconds(0), steady: seconds(4) });
    assert_eq!(verdicts(&state, &known), []);
    known.nodes.insert(NodeId(1), Lease { silent: seconds(0), steady: seconds(5) });
    assert_eq!(verdicts(&state, &known), [(1, NodeHealth::Live)]);
    known.nodes.insert(NodeId(1), Lease { silent: seconds(11), steady: HOUR });
    assert_eq!(verdicts(&state, &known), []);
}

#[test]
fn a_round_changes_no_more_than_its_bound() {
    let state = cluster(&[("a", 1); 40]);
    let mut silent = [50; 40];
    silent[0] = 0;
    silent[20] = 70;
    let verdicts = verdicts(&state, &leases(&silent));
    assert_eq!(verdicts.len(), LeaseTerms::default().changes_a_round);
    assert_eq!(verdicts[0], (21, NodeHealth::Lost), "the longest silence comes first");
}

#[test]
fn a_node_that_has_just_joined_is_not_judged_by_a_silence_before_it() {
    let mut state = cluster(&[("a", 1)]);
    let mut times = ReportTimes::begin(LeaseTerms::default(), &state, seconds(0));
    for second in 0..100 {
        times.hear(NodeId(1), seconds(second));
        assert_eq!(verdicts(&state, &times.round(&state, seconds(second))), []);
    }
    apply(&mut state, join(2, "a", 1));
    assert_eq!(verdicts(&state, &times.round(&state, seconds(100))), []);
    for second in 101..110 {
        times.hear(NodeId(1), seconds(second));
        assert_eq!(verdicts(&state, &times.round(&state, seconds(second))), []);
    }
    times.hear(NodeId(1), seconds(110));
    assert_eq!(verdicts(&state, &times.round(&state, seconds(110))), [(2, NodeHealth::Lost)]);
}

/// How often the health of node 1 changes within an hour while one judge hears it and another does not.
fn contradictions() -> usize {
    let mut state = cluster(&[("a", 1), ("a", 1)]);
    let begin = |state: &ClusterState| ReportTimes::begin(LeaseTerms::default(), state, seconds(0));
    let mut judges = [(begin(&state), true), (begin(&state), false)];
    let mut changes = 0;
    for second in 1..3600 {
        for (times, hears) in &mut judges {
            times.hear(NodeId(2), seconds(second));
            if *hears {
                times.hear(NodeId(1), seconds(second));
            }
            let leases = times.round(&state, seconds(second));
            for verdict in judge(&state, &leases, &LeaseTerms::default(), &everybody(&state)) {
                assert_eq!(apply(&mut state, verdict), Outcome::Applied);
                changes += 1;
            }
        }
    }
    changes
}

#[test]
fn two_judges_that_hear_different_nodes_overrule_each_other_ever_more_rarely() {
    let changes = contradictions();
    assert!((2..40).contains(&changes), "{changes} changes an hour");
}

#[test]
fn a_node_that_came_back_often_long_ago_is_back_as_soon_as_any_other() {
    let mut state = cluster(&[("a", 1), ("a", 1)]);
    let mut times = ReportTimes::begin(LeaseTerms::default(), &state, seconds(0));
    let mut waits = Vec::new();
    for (lost_at, again_after) in [(100, 200), (200, 300), (300, 1000), (1000, 1200)] {
        set_health(&mut state, 1, NodeHealth::Lost);
        let mut back = None;
        for second in lost_at..again_after {
            times.hear(NodeId(1), seconds(second));
            times.hear(NodeId(2), seconds(second));
            let leases = times.round(&state, seconds(second));
            for verdict in judge(&state, &leases, &LeaseTerms::default(), &everybody(&state)) {
                assert_eq!(apply(&mut state, verdict), Outcome::Applied);
                back = back.or(Some(second - lost_at));
            }
        }
        waits.push(back);
    }
    assert_eq!(waits, [5, 10, 20, 5].map(Some));
}

#[test]
fn a_judge_that_was_stalled_listens_for_a_lease_before_it_judges() {
    let state = cluster(&[("a", 1), ("a", 1)]);
    let mut times = ReportTimes::begin(LeaseTerms::default(), &state, seconds(0));
    for second in 0..60 {
        times.hear(NodeId(1), seconds(second));
        times.hear(NodeId(2), seconds(second));
        times.round(&state, seconds(second));
    }
    let leases = times.round(&state, seconds(100));
    assert_eq!(leases.tenure, seconds(0));
    times.hear(NodeId(1), seconds(101));
    assert_eq!(verdicts(&state, &times.round(&state, seconds(101))), []);
}

proptest! {
    #[test]
    fn every_verdict_is_accepted_and_the_same_leases_ask_for_nothing_more(
        health in prop::collection::vec(any::<bool>(), 1..30),
        silent in prop::collection::vec((0..40_u64, 0..10_u64), 30),
        tenure in 0..60_u64,
    ) {
        let terms = LeaseTerms::default();
        let mut state = cluster(&vec![("a", 1); health.len()]);
        for (node, live) in (1..).zip(&health) {
            if !live {
                set_health(&mut state, node, NodeHealth::Lost);
            }
        }
        let nodes = (1..).zip(&silent).map(|(node, (silent, steady))| {
            (NodeId(node), Lease { silent: seconds(*silent), steady: seconds(*steady) })
        });
        let leases = Leases { tenure: seconds(tenure), nodes: nodes.collect(), ..Leases::default() };
        for _ in 0..3 {
            let verdicts = judge(&state, &leases, &terms, &everybody(&state));
            prop_assert!(verdicts.len() <= terms.changes_a_round);
            for verdict in verdicts {
                prop_assert_eq!(apply(&mut state, verdict), Outcome::Applied);
            }
        }
        prop_assert_eq!(judge(&state, &leases, &terms, &everybody(&state)), []);
        prop_assert_eq!(check(&state), []);
    }
}
