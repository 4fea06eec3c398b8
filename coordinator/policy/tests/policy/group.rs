//! The group of coordinators: ids, observers, where the leader should stand, what the group would survive.

use std::{collections::BTreeMap, time::Duration};

use helixflow_model::{CoordinatorId, Incarnation, Region};
use helixflow_policy::{
    check::check,
    failover::{
        HAND_OVER_PAUSE, LARGEST_LAG, LONGEST_SILENCE, Standings, VoterView, advise, fragility, successor,
    },
    state::{ClusterState, Command, Coordinator, FEATURE_LEVEL, Field, Outcome, Refusal, Voting},
};
use proptest::prelude::*;

use crate::support::{apply, cluster, region};

fn coordinator(in_region: &str) -> Coordinator {
    Coordinator {
        region: region(in_region),
        grpc: "host:1".to_owned(),
        raft: "host:2".to_owned(),
        level: FEATURE_LEVEL,
    }
}

fn admit(state: &mut ClusterState, id: u64, in_region: &str, voting: Voting) -> Outcome {
    let (id, coordinator) = (CoordinatorId(id), coordinator(in_region));
    apply(state, Command::AdmitCoordinator { id, coordinator, voting })
}

fn with_voters(regions: &[&str], preferred: &[&str]) -> ClusterState {
    let mut state = cluster(&[]);
    for (id, name) in (1..).zip(regions) {
        admit(&mut state, id, name, Voting::Voter);
    }
    let regions = preferred.iter().map(|name| region(name)).collect();
    assert_ne!(apply(&mut state, Command::SetLeaderRegions { regions }), Outcome::Unchanged);
    state
}

#[test]
fn an_id_of_a_removed_coordinator_is_never_given_again() {
    let mut state = cluster(&[]);
    assert_eq!(admit(&mut state, 1, "a", Voting::Voter), Outcome::Applied);
    assert_eq!(admit(&mut state, 3, "a", Voting::Voter), Outcome::Applied);
    assert_eq!(admit(&mut state, 3, "a", Voting::Voter), Outcome::Unchanged);
    let remove = Command::RemoveCoordinator { id: CoordinatorId(3) };
    assert_eq!(apply(&mut state, remove.clone()), Outcome::Applied);
    assert_eq!(apply(&mut state, remove), Outcome::Unchanged);
    for id in [0, 2, 3] {
        let reason = Refusal::IdUsed { id: CoordinatorId(id), next: CoordinatorId(4) };
        assert_eq!(admit(&mut state, id, "a", Voting::Voter), Outcome::Refused { reason });
    }
    assert_eq!(admit(&mut state, 4, "b", Voting::Voter), Outcome::Applied);
    assert_eq!(check(&state), []);
}

#[test]
fn an_observer_is_one_until_it_is_admitted_as_a_voter_or_removed() {
    let mut state = cluster(&[]);
    admit(&mut state, 1, "a", Voting::Observer);
    assert!(state.observers().contains(&CoordinatorId(1)));
    assert_eq!(admit(&mut state, 1, "a", Voting::Voter), Outcome::Applied);
    assert!(state.observers().is_empty());
    admit(&mut state, 2, "a", Voting::Observer);
    apply(&mut state, Command::RemoveCoordinator { id: CoordinatorId(2) });
    assert!(state.observers().is_empty());
}

#[test]
fn a_new_life_keeps_everything_but_the_other_coordinators() {
    let mut state = with_voters(&["a", "b"], &["b"]);
    apply(&mut state, crate::support::join(7, "a", 10));
    let reborn = state.clone().reborn(Incarnation(9), CoordinatorId(2), coordinator("c"), 100);
    assert_eq!(reborn.identity().map(|known| known.incarnation), Some(Incarnation(9)));
    assert_eq!(reborn.coordinators().keys().copied().collect::<Vec<_>>(), [CoordinatorId(2)]);
    assert_eq!(reborn.next_coordinator(), CoordinatorId(3));
    assert_eq!((reborn.nodes(), reborn.leader_regions()), (state.nodes(), state.leader_regions()));
    assert_eq!(reborn.epoch().0, 100);
    assert_eq!(check(&reborn), []);
}

#[test]
fn an_order_of_regions_names_each_once() {
    let mut state = cluster(&[]);
    let regions = vec![region("a"), region("a")];
    let reason = Refusal::InvalidField { field: Field::LeaderRegions };
    assert_eq!(apply(&mut state, Command::SetLeaderRegions { regions }), Outcome::Refused { reason });
}

/// Everybody but the leader answers and has everything.
fn all_well(leader: u64, voters: u64) -> Standings {
    let view = VoterView { lag: 0, silent: Some(Duration::ZERO) };
    let others = (1..=voters).filter(|id| *id != leader).map(|id| (CoordinatorId(id), view)).collect();
    Standings { leader: CoordinatorId(leader), settled: HAND_OVER_PAUSE, voters: others }
}

#[test]
fn a_leader_hands_its_place_to_the_most_preferred_region_that_can_take_it() {
    let state = with_voters(&["a", "b", "c"], &["c", "b"]);
    assert_eq!(successor(&state, &all_well(1, 3)), Some(CoordinatorId(3)));
    assert_eq!(successor(&state, &all_well(3, 3)), None);
    let with = |change: fn(&mut VoterView)| {
        let mut known = all_well(1, 3);
        known.voters.get_mut(&CoordinatorId(3)).map(change);
        successor(&state, &known)
    };
    assert_eq!(with(|view| view.lag = LARGEST_LAG + 1), Some(CoordinatorId(2)));
    assert_eq!(with(|view| view.silent = Some(LONGEST_SILENCE)), Some(CoordinatorId(2)));
    assert_eq!(with(|view| view.silent = None), Some(CoordinatorId(2)));
    let early = Standings { settled: HAND_OVER_PAUSE - Duration::from_millis(1), ..all_well(1, 3) };
    assert_eq!(successor(&state, &early), None);
    assert_eq!(successor(&with_voters(&["a", "b", "c"], &["a"]), &all_well(1, 3)), None);
}

#[test]
fn two_regions_are_warned_of_and_one_or_three_are_not() {
    let judge = |regions: &[&str]| fragility(regions.iter().map(|name| region(name)));
    for sound in [&[][..], &["a"], &["a", "a", "a"], &["a", "b", "c"], &["a", "a", "b", "b", "c"]] {
        assert_eq!(judge(sound), None, "{sound:?}");
    }
    let two = judge(&["a", "a", "b"]).expect("a warning");
    assert_eq!((two.regions.clone(), two.missing, two.needs_third), (vec![region("a")], 2, true));
    let text = two.to_string();
    assert!(text.contains("region a ") && text.contains("2 of the 3") && text.contains("witness"), "{text}");
    let even = judge(&["a", "b"]).expect("a warning");
    assert_eq!((even.regions.len(), even.missing), (2, 1));
    let heavy = judge(&["a", "a", "a", "b", "c"]).expect("a warning");
    assert_eq!((heavy.missing, heavy.needs_third), (2, false));
}

#[test]
fn times_that_the_network_cannot_keep_are_answered_with_ones_that_it_can() {
    let ms = Duration::from_millis;
    assert_eq!(advise(ms(80), ms(200), ms(40)), None);
    for (heartbeat, election_min, round_trip) in [(80, 200, 41), (30, 1000, 40), (80, 200, 150)] {
        let advice = advise(ms(heartbeat), ms(election_min), ms(round_trip)).expect("advice");
        assert!(advise(advice.heartbeat, advice.election_min, advice.round_trip).is_none(), "{advice}");
        assert!(advice.election_max >= advice.heartbeat * 3 && advice.election_max > advice.election_min);
    }
}

fn regions_of(voters: usize) -> impl Strategy<Value = Vec<Region>> {
    let name = (0..4_u8).prop_map(|n| region(&format!("region-{n}")));
    prop::collection::vec(name, 1..=voters)
}

/// Whether the voters that are left without a region are still a majority of all.
fn survives(voters: &[Region], lost: &Region) -> bool {
    voters.iter().filter(|region| *region != lost).count() > voters.len() / 2
}

proptest! {
    #[test]
    fn a_warning_comes_exactly_when_some_region_cannot_be_lost(voters in regions_of(9)) {
        let one_region = voters.iter().all(|region| *region == voters[0]);
        let fatal = voters.iter().any(|lost| !survives(&voters, lost));
        let judged = fragility(voters.iter().cloned());
        prop_assert_eq!(judged.is_some(), fatal && !one_region);
        if let Some(fragile) = judged {
            for lost in &fragile.regions {
                prop_assert!(!survives(&voters, lost));
            }
            // The remedy helps: all that is missing in a region where nobody votes yet.
            let mut more = voters.clone();
            more.extend(std::iter::repeat_n(region("elsewhere"), fragile.missing));
            prop_assert_eq!(fragility(more), None);
        }
    }

    #[test]
    fn leadership_comes_to_rest_in_as_few_steps_as_there_are_regions(
        regions in prop::collection::vec(0..4_u8, 1..7),
        preferred in prop::collection::btree_set(0..4_u8, 0..4),
        first in any::<prop::sample::Index>(),
        views in prop::collection::vec((0..2 * LARGEST_LAG, prop::option::of(0..4_000_u64)), 7),
    ) {
        let names: Vec<String> = regions.iter().map(|n| format!("region-{n}")).collect();
        let order: Vec<String> = preferred.iter().rev().map(|n| format!("region-{n}")).collect();
        let mut state = cluster(&[]);
        for (id, name) in (1..).zip(&names) {
            admit(&mut state, id, name, Voting::Voter);
        }
        apply(&mut state, Command::SetLeaderRegions { regions: order.iter().map(|n| region(n)).collect() });
        let view = |(lag, silent): &(u64, Option<u64>)| VoterView { lag: *lag, silent: silent.map(Duration::from_millis) };
        let all: BTreeMap<_, _> = (1..).map(CoordinatorId).zip(views.iter().map(view)).take(names.len()).collect();
        let mut leader = CoordinatorId(first.index(names.len()) as u64 + 1);
        let mut led = vec![leader];
        loop {
            let voters = all.iter().filter(|(id, _)| **id != leader).map(|(id, view)| (*id, *view)).collect();
            let Some(next) = successor(&state, &Standings { leader, settled: HAND_OVER_PAUSE, voters }) else { break };
            prop_assert!(!led.contains(&next), "{next} led before: {led:?}");
            leader = next;
            led.push(leader);
            prop_assert!(led.len() <= order.len() + 1, "{led:?}");
        }
    }
}
