//! Heat in routing: what a hot board costs, who sheds, and what age makes of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use helixflow_model::{
    Band, BoardId, BoardInfo, BoardLimits, BoardReading, BoardReport, BoardStanding, ClockControl,
    DeviceKind, Duty, LoadReport, MilliCelsius, NodeId, NodeReport, Permille, ReplicaId, ReplicaPhase,
};
use helixflow_policy::{
    routing::{Heard, NoReplica, Own, PickContext, Rank, RoutingTable, Thermal, pick},
    state::ClusterState,
};
use proptest::prelude::*;

use crate::{
    fleet::{all_ready, load_of, numbers, picked, says, served, shares, table},
    support::{model, region},
};

const COOL: BoardStanding = BoardStanding {
    band: Band::Cool,
    duty: Duty::Full,
    control: ClockControl::Governed,
    target_clock: None,
    forecast: None,
    headroom: Some(MilliCelsius(30_000)),
    speed: Permille(1000),
    weight: Permille(1000),
};

fn board(name: &str, standing: BoardStanding) -> BoardReport {
    let info = BoardInfo {
        board: BoardId::new(name).unwrap(),
        name: "a board".to_owned(),
        kind: DeviceKind::Nvidia,
        limits: BoardLimits::default(),
    };
    BoardReport { info, reading: BoardReading::default(), age: Duration::ZERO, standing }
}

fn report_of(heard: &mut BTreeMap<NodeId, Heard>, node: u64) -> &mut NodeReport {
    Arc::make_mut(&mut heard.get_mut(&NodeId(node)).unwrap().report)
}

/// Lets the replica of a node run on boards of these standings.
fn runs_on(heard: &mut BTreeMap<NodeId, Heard>, node: u64, standings: &[BoardStanding]) {
    let report = report_of(heard, node);
    report.boards =
        (0..).zip(standings).map(|(n, standing)| board(&format!("board-{n}"), *standing)).collect();
    report.replicas[0].boards = report.boards.iter().map(|board| board.info.board.clone()).collect();
}

/// All ready and heard just now, the replica of node n on one board of the nth standing.
fn on_boards(state: &ClusterState, standings: &[BoardStanding]) -> BTreeMap<NodeId, Heard> {
    let mut heard = all_ready(state);
    heard.values_mut().for_each(|heard| heard.age = Duration::ZERO);
    for (node, standing) in (1..).zip(standings) {
        runs_on(&mut heard, node, &[*standing]);
    }
    heard
}

fn left(millicelsius: i32) -> BoardStanding {
    BoardStanding { headroom: Some(MilliCelsius(millicelsius)), ..COOL }
}

fn in_band(band: Band) -> BoardStanding {
    BoardStanding { band, headroom: None, ..COOL }
}

fn expected(table: &RoutingTable, node: u64) -> Duration {
    table.ready(&model("m")).find(|candidate| candidate.node == NodeId(node)).unwrap().expected
}

/// How often each of these replicas is picked while nothing ends.
fn shares_of_a_rising_load(table: &RoutingTable, picks: usize) -> BTreeMap<ReplicaId, u32> {
    let here = region("a");
    let mut own: BTreeMap<ReplicaId, u32> = BTreeMap::new();
    for random in numbers().take(picks) {
        let context = PickContext { region: &here, exclude: &[], numerics: None, random };
        let count = |replica: ReplicaId| own.get(&replica).copied().unwrap_or(0);
        let under_way = |replica| Own { under_way: count(replica), unanswered: 0 };
        let replica = pick(table, &model("m"), None, &context, under_way).unwrap().candidate.fence.replica;
        *own.entry(replica).or_default() += 1;
    }
    own
}

#[test]
fn the_fewer_degrees_are_left_the_less_a_board_gets_and_each_gets_some() {
    let state = served(&["a"; 5]);
    let heard = on_boards(&state, &[14_000, 9000, 6000, 3000, 0].map(left));
    let own = shares_of_a_rising_load(&table(&state, &heard), 2000);
    let falls = own.values().is_sorted_by(|cooler, hotter| cooler > hotter);
    assert!(own.len() == 5 && falls && own[&ReplicaId(5)] > 100, "{own:?}");
}

#[test]
fn a_warm_board_gets_less_before_anything_is_slow() {
    let state = served(&["a"; 3]);
    let heard = on_boards(&state, &[left(30_000), left(13_000), left(9000)]);
    let table = table(&state, &heard);
    assert_eq!(expected(&table, 1), expected(&table, 2));
    assert!(expected(&table, 3) > expected(&table, 2));
}

#[test]
fn heat_comes_without_a_jump() {
    let state = served(&["a", "a"]);
    let at = |left: BoardStanding| expected(&table(&state, &on_boards(&state, &[COOL, left])), 2);
    let mut before = at(left(20_000));
    for millicelsius in (-20_000..20_000).rev().step_by(100) {
        let now = at(left(millicelsius));
        assert!(now >= before && now < before.mul_f64(1.02), "{before:?}, then {now:?} at {millicelsius}");
        before = now;
    }
    assert!(before > at(COOL), "far beyond the limit a board is taken for no more than a cool one");
}

#[test]
fn where_no_limit_is_known_the_band_tells() {
    let state = served(&["a"; 4]);
    let heard = on_boards(&state, &[Band::Cool, Band::Warm, Band::Hot, Band::Critical].map(in_band));
    let table = table(&state, &heard);
    let times: Vec<_> = (1..=4).map(|node| expected(&table, node)).collect();
    assert!(times.is_sorted_by(|milder, worse| milder < worse), "{times:?}");
}

#[test]
fn the_worst_board_of_a_replica_counts() {
    let state = served(&["a"; 3]);
    let mut heard = on_boards(&state, &[COOL, left(2000), COOL]);
    runs_on(&mut heard, 3, &[COOL, left(2000), COOL]);
    let table = table(&state, &heard);
    assert_eq!(expected(&table, 2), expected(&table, 3));
    assert!(expected(&table, 1) < expected(&table, 3));
}

#[test]
fn a_replica_without_boards_is_as_good_as_on_a_cool_one() {
    let state = served(&["a"; 3]);
    let mut heard = on_boards(&state, &[left(0), COOL]);
    report_of(&mut heard, 3).boards = vec![board("of-another", left(0))];
    let table = table(&state, &heard);
    assert_eq!(expected(&table, 2), expected(&table, 3));
}

#[test]
fn an_idle_replica_is_judged_by_the_clock_of_its_board() {
    let state = served(&["a"; 3]);
    let slow = BoardStanding { speed: Permille(500), ..COOL };
    let mut heard = on_boards(&state, &[COOL, slow, COOL]);
    *load_of(&mut heard, 3) = LoadReport { active: 1, busy_milli: 1000, ..*load_of(&mut heard, 3) };
    let table = table(&state, &heard);
    assert_eq!(expected(&table, 2), expected(&table, 1) * 2);
}

#[test]
fn a_critical_board_sheds_to_anybody() {
    let state = served(&["a", "a", "b"]);
    let drained = BoardStanding { duty: Duty::Drain, ..COOL };
    let mut heard = on_boards(&state, &[in_band(Band::Critical), COOL, COOL]);
    load_of(&mut heard, 2).queued = 1000;
    assert!(!shares(&table(&state, &heard), "a").contains_key(&1));
    heard.remove(&NodeId(2));
    assert_eq!(shares(&table(&state, &heard), "a").keys().collect::<Vec<_>>(), [&3]);
    runs_on(&mut heard, 3, &[drained]);
    assert_eq!(shares(&table(&state, &heard), "a").keys().collect::<Vec<_>>(), [&3]);
}

#[test]
fn a_request_with_nowhere_else_to_go_is_not_refused_for_heat() {
    let state = served(&["a", "a"]);
    let heard = on_boards(&state, &[in_band(Band::Critical), COOL]);
    let table = table(&state, &heard);
    let (here, tried) = (region("a"), [ReplicaId(2)]);
    let context = PickContext { region: &here, exclude: &tried, numerics: None, random: 7 };
    let picked = pick(&table, &model("m"), None, &context, |_| Own::default()).unwrap();
    assert_eq!((picked.candidate.node, picked.candidate.rank), (NodeId(1), Rank::LastResort));
}

#[test]
fn a_drained_board_is_asked_only_where_nobody_else_can_answer() {
    let state = served(&["a", "b"]);
    let drained = BoardStanding { duty: Duty::Drain, ..COOL };
    let mut heard = on_boards(&state, &[drained, left(0)]);
    assert_eq!(shares(&table(&state, &heard), "a").keys().collect::<Vec<_>>(), [&2]);
    heard.remove(&NodeId(2));
    assert_eq!(picked(&table(&state, &heard), "a", 0), Ok(1));
}

#[test]
fn a_board_in_quarantine_gets_nothing() {
    let state = served(&["a", "a"]);
    let kept = BoardStanding { duty: Duty::Quarantine, ..COOL };
    let mut heard = on_boards(&state, &[kept, in_band(Band::Critical)]);
    assert_eq!(shares(&table(&state, &heard), "a").keys().collect::<Vec<_>>(), [&2]);
    heard.remove(&NodeId(2));
    heard.insert(NodeId(2), says(&state, 2, ReplicaPhase::Failed));
    let why = picked(&table(&state, &heard), "a", 0);
    assert_eq!(why, Err(NoReplica::Resting { model: model("m") }));
}

#[test]
fn what_a_board_says_counts_less_the_later_it_is_on_whichever_hop() {
    let state = served(&["a"; 4]);
    let hot = || on_boards(&state, &[left(0), COOL, COOL, COOL]);
    let price = |heard: &BTreeMap<NodeId, Heard>| {
        let table = table(&state, heard);
        expected(&table, 1).saturating_sub(expected(&table, 2))
    };
    let fresh = price(&hot());
    let late = Duration::from_secs(2);
    let mut by_the_board = hot();
    report_of(&mut by_the_board, 1).boards[0].age = late;
    let mut on_the_way = hot();
    report_of(&mut on_the_way, 1).age = late;
    let mut here = hot();
    here.get_mut(&NodeId(1)).unwrap().age += late;
    let mut by_its_weight = hot();
    report_of(&mut by_its_weight, 1).boards[0].standing.weight = Permille(500);
    for heard in [by_the_board, on_the_way, here, by_its_weight] {
        let aged = price(&heard);
        assert!(aged > Duration::ZERO && aged < fresh * 2 / 3, "{fresh:?}, then {aged:?}");
    }
}

#[test]
fn with_the_thermal_term_at_zero_heat_costs_nothing_and_the_ladder_still_holds() {
    let state = served(&["a"; 3]);
    let slow = BoardStanding { speed: Permille(500), ..left(0) };
    let heard = on_boards(&state, &[COOL, slow, in_band(Band::Critical)]);
    let table = RoutingTable::build(&state, &heard, Thermal::Zero);
    assert_eq!(expected(&table, 1), expected(&table, 2));
    assert_eq!(shares(&table, "a").keys().collect::<Vec<_>>(), [&1, &2]);
}

#[test]
fn a_pick_looks_at_a_handful_of_however_many_there_are() {
    let state = served(&["a"; 300]);
    let table = table(&state, &all_ready(&state));
    let here = region("a");
    for random in numbers().take(100) {
        let looks = std::cell::Cell::new(0);
        let context = PickContext { region: &here, exclude: &[], numerics: None, random };
        let look = |_| {
            looks.set(looks.get() + 1);
            Own::default()
        };
        pick(&table, &model("m"), None, &context, look).unwrap();
        assert!(looks.get() <= 6, "{} looks", looks.get());
    }
}

fn any_band() -> impl Strategy<Value = Band> {
    prop_oneof![Just(Band::Cool), Just(Band::Warm), Just(Band::Hot), Just(Band::Critical)]
}

fn any_standing() -> impl Strategy<Value = BoardStanding> {
    let headroom = prop::option::weighted(0.9, -30_000..40_000_i32);
    (any_band(), headroom, 0..=1000_u16, 0..=1000_u16).prop_map(|(band, headroom, speed, weight)| {
        BoardStanding {
            band,
            headroom: headroom.map(MilliCelsius),
            speed: Permille(speed),
            weight: Permille(weight),
            ..COOL
        }
    })
}

fn any_load() -> impl Strategy<Value = LoadReport> {
    (0..20_u32, 0..20_u32, 0..200_000_u64, 0..20_000_u32).prop_map(
        |(queued, active, millitokens_per_second, busy_milli)| LoadReport {
            queued,
            active,
            millitokens_per_second,
            busy_milli,
            ..LoadReport::default()
        },
    )
}

/// What the nodes of `served(["a"; n])` say: standing, load, milliseconds since it was heard.
fn any_fleet(nodes: usize) -> impl Strategy<Value = Vec<(BoardStanding, LoadReport, u64)>> {
    prop::collection::vec((any_standing(), any_load(), 0..20_000_u64), nodes)
}

fn heard_of(state: &ClusterState, fleet: &[(BoardStanding, LoadReport, u64)]) -> BTreeMap<NodeId, Heard> {
    let mut heard = all_ready(state);
    for (node, (standing, load, age)) in (1..).zip(fleet) {
        runs_on(&mut heard, node, &[*standing]);
        *load_of(&mut heard, node) = *load;
        heard.get_mut(&NodeId(node)).unwrap().age = Duration::from_millis(*age);
    }
    heard
}

/// The same board hotter: fewer degrees left, a worse band, a lower speed, or all of it.
fn hotter(standing: BoardStanding, degrees: i32, band: Band, slower: u16) -> BoardStanding {
    BoardStanding {
        band: standing.band.max(band),
        headroom: standing.headroom.map(|left| MilliCelsius(left.0 - degrees)),
        speed: Permille(standing.speed.0.saturating_sub(slower)),
        ..standing
    }
}

proptest! {
    #[test]
    fn a_hotter_board_never_gets_a_shorter_expected_time(
        fleet in any_fleet(4),
        degrees in 0..20_000_i32,
        band in any_band(),
        slower in 0..500_u16,
    ) {
        let state = served(&["a"; 4]);
        let before = table(&state, &heard_of(&state, &fleet));
        let mut fleet = fleet;
        fleet[0].0 = hotter(fleet[0].0, degrees, band, slower);
        let after = table(&state, &heard_of(&state, &fleet));
        prop_assert!(expected(&after, 1) >= expected(&before, 1));
    }

    #[test]
    fn of_two_boards_alike_the_hotter_one_never_takes_less_time(
        fleet in any_fleet(3),
        degrees in 0..20_000_i32,
        band in any_band(),
        slower in 0..500_u16,
    ) {
        let state = served(&["a"; 4]);
        let mut fleet = fleet;
        let (standing, load, age) = fleet[0];
        fleet.push((hotter(standing, degrees, band, slower), load, age));
        let table = table(&state, &heard_of(&state, &fleet));
        prop_assert!(expected(&table, 4) >= expected(&table, 1));
    }

    #[test]
    fn when_all_telemetry_is_late_all_are_nearly_equal_and_everybody_is_served(
        fleet in any_fleet(4),
        random in any::<u64>(),
    ) {
        let state = served(&["a"; 4]);
        let mut heard = heard_of(&state, &fleet);
        heard.values_mut().for_each(|heard| heard.age = Duration::from_secs(3600));
        let table = table(&state, &heard);
        let times: Vec<_> = table.ready(&model("m")).map(|candidate| candidate.expected).collect();
        let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        prop_assert!(*most <= least.mul_f64(1.05), "{:?}", times);
        prop_assert!(picked(&table, "a", random).is_ok());
    }

    #[test]
    fn a_critical_board_gets_nothing_while_another_suits(
        fleet in any_fleet(5),
        in_a in any::<bool>(),
        exclude in prop::collection::vec(1..6_u64, 0..4),
        random in any::<u64>(),
    ) {
        let state = served(&["a", "a", "b", "b", "c"]);
        let table = table(&state, &heard_of(&state, &fleet));
        let here = region(if in_a { "a" } else { "elsewhere" });
        let exclude: Vec<ReplicaId> = exclude.into_iter().map(ReplicaId).collect();
        let context = PickContext { region: &here, exclude: &exclude, numerics: None, random };
        let is_milder = |(node, (standing, ..)): (u64, &(BoardStanding, LoadReport, u64))| {
            standing.band < Band::Critical && !exclude.contains(&ReplicaId(node))
        };
        let another = (1..).zip(&fleet).any(is_milder);
        let picked = pick(&table, &model("m"), None, &context, |_| Own::default()).unwrap();
        let node = usize::try_from(picked.candidate.node.0).unwrap();
        prop_assert_eq!(fleet[node - 1].0.band == Band::Critical, !another);
        prop_assert_eq!(pick(&table, &model("m"), None, &context, |_| Own::default()), Ok(picked));
    }
}
