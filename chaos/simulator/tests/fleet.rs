//! The simulated fleet as a whole: what must hold under every policy.
#![expect(clippy::expect_used, reason = "a test's own functions fail with it")]

use helixflow_simulator::{
    Cap, Curve, FanFailure, Inlet, Lengths, Load, Outcome, Peak, Policy, ProductName, Requests, Scenario,
    Setting, Span, run,
};

/// A warm room with a failed fan row, for a test alone.
fn scenario(celsius: f64) -> Scenario {
    Scenario {
        name: "test".to_owned(),
        product: ProductName::H100,
        rows: 2,
        inlet: Inlet { celsius: Curve(vec![(0.0, celsius)]), spread: 1.0, behind: 6.0 },
        warmer: Vec::new(),
        fans: vec![FanFailure { rows: vec![1], from: 0.0, to: 24.0, speed: 0.5 }],
        load: Load { share: Curve(vec![(0.0, 0.8)]) },
        requests: Requests {
            prompt: Lengths { median: 600.0, sigma: 0.5, most: 4000 },
            answer: Lengths { median: 400.0, sigma: 0.5, most: 2000 },
        },
        peak: Peak { hours: (13.0, 16.0), hour: (14.0, 15.0) },
    }
}

const SPAN: Span = Span { boards: 16, from: 14.0, to: 14.1, run_in: 300.0 };

fn outcome(celsius: f64, policy: Policy, seed: u64) -> Outcome {
    let cap = match policy {
        Policy::ClockCap | Policy::RoutedClockCap => Some(Cap::Clock(0.8)),
        Policy::PowerCap => Some(Cap::Power(0.8)),
        Policy::RoutedRiseCap => Some(Cap::Rise(44.0)),
        _ => None,
    };
    run(&scenario(celsius), SPAN, Setting { policy, cap }, seed).expect("the fleet can be built")
}

#[test]
fn the_same_seed_gives_the_same_outcome_and_another_gives_another() {
    for policy in Policy::ALL {
        assert_eq!(outcome(34.0, policy, 1), outcome(34.0, policy, 1), "{policy:?}");
        assert_ne!(outcome(34.0, policy, 1), outcome(34.0, policy, 2), "{policy:?}");
    }
}

#[test]
fn every_policy_sees_the_same_requests_and_loses_none() {
    let arrived = outcome(34.0, Policy::LeastLoaded, 3).counts.arrived;
    assert!(arrived > 1000, "{arrived} requests tell little");
    for policy in Policy::ALL {
        let counts = outcome(34.0, policy, 3).counts;
        assert_eq!(counts.arrived, arrived, "{policy:?}");
        assert_eq!(counts.refused + counts.finished + counts.left, arrived, "{policy:?}");
    }
}

#[test]
fn energy_is_what_the_boards_draw_over_their_time() {
    for policy in Policy::ALL {
        let outcome = outcome(34.0, policy, 4);
        assert!((outcome.held.boards - 16.0 * 360.0).abs() < 1e-6);
        let watts = outcome.joules / outcome.held.boards;
        assert!((150.0..700.0).contains(&watts), "{policy:?} draws {watts} W a board");
        assert!((outcome.energy_per_token() * outcome.tokens as f64 - outcome.joules).abs() < 1.0);
    }
}

#[test]
fn heat_throttles_those_who_do_not_see_it_and_a_cool_room_nobody() {
    let hot = outcome(36.0, Policy::LeastLoaded, 5);
    assert!(hot.held.share() > 0.05 && hot.by_quarter[56].share() == Some(hot.held.share()));
    for policy in Policy::ALL {
        assert_eq!(outcome(20.0, policy, 5).held.thermal, 0.0, "{policy:?}");
    }
}

#[test]
fn our_governor_takes_the_place_of_the_firmwares_throttling() {
    let blind = outcome(36.0, Policy::LeastLoaded, 6);
    for policy in [Policy::HelixFlow, Policy::WithoutThermalTerm] {
        let ours = outcome(36.0, policy, 6);
        assert!(ours.held.thermal < 0.2 * blind.held.thermal, "{policy:?}: {:?}", ours.held);
        assert!(ours.clock_lost() > 0.0 && ours.speed() < 1.0, "{policy:?} gave up no clock");
    }
}

#[test]
fn a_static_cap_is_told_as_what_was_asked_for() {
    let capped = outcome(34.0, Policy::ClockCap, 7);
    assert!((capped.clock_lost() - 0.2).abs() < 0.01 && capped.held.requested > 0.0);
    let limited = outcome(34.0, Policy::PowerCap, 7);
    assert_eq!(limited.held.requested, 0.0);
    assert!(limited.held.power_cap > outcome(34.0, Policy::LeastLoaded, 7).held.power_cap);
}

#[test]
fn a_clock_that_somebody_else_holds_down_is_left_to_them() {
    let setting = Setting { policy: Policy::HelixFlow, cap: Some(Cap::Clock(0.8)) };
    let capped = run(&scenario(36.0), SPAN, setting, 8).expect("the fleet can be built");
    assert!((capped.clock_lost() - 0.2).abs() < 0.01);
}

#[test]
fn boards_that_are_only_watched_are_asked_for_nothing() {
    let watched = outcome(36.0, Policy::OnlyWatched, 9);
    assert!(watched.held.requested == 0.0 && watched.held.thermal > 0.0, "{:?}", watched.held);
}

#[test]
fn a_cap_of_the_rise_slows_the_boards_that_cool_badly_and_leaves_the_others_alone() {
    let (blind, capped) = (outcome(30.0, Policy::LeastLoaded, 10), outcome(30.0, Policy::RoutedRiseCap, 10));
    assert!(capped.rise < blind.rise - 4.0 && capped.rise < 48.0, "{} of {} K", capped.rise, blind.rise);
    let held = capped.held.requested / capped.held.boards;
    assert!(held > 0.2 && held < 0.8, "{held} of the boards are held");
}
