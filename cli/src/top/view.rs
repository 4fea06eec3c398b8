//! What is shown of an answer: a row a region, a board and a replica, sorted. Pure.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use super::history::History;
use crate::status::{Board, Node, Replica, Status};

/// Reports and readings come at least once a second; what is older than this is told as wrong, and counts in no sum.
pub(super) const STALE: Duration = Duration::from_secs(5);

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// The hottest band, then the least headroom, then the highest temperature.
    #[default]
    Heat,
    /// The most requests.
    Load,
    /// Nodes by id, then boards by id.
    Name,
}

/// How busy something is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Load {
    pub(super) active: u32,
    pub(super) queued: u32,
    pub(super) tokens_per_second: f64,
}

impl Load {
    pub(super) fn of<'a>(replicas: impl IntoIterator<Item = &'a Replica>) -> Self {
        replicas.into_iter().fold(Self::default(), |sum, replica| Self {
            active: sum.active.saturating_add(replica.active),
            queued: sum.queued.saturating_add(replica.queued),
            tokens_per_second: sum.tokens_per_second + replica.tokens_per_second_now(),
        })
    }

    /// Of what these nodes do: of those that live, and were heard of lately when the answer was given. What the others
    /// told last they may have dropped since.
    pub(super) fn of_nodes<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> Self {
        let is_heard = |node: &&Node| {
            is_live(node) && aged(node.told_age_ms, Duration::ZERO).is_some_and(|age| age <= STALE)
        };
        Self::of(nodes.into_iter().filter(is_heard).flat_map(|node| &node.replicas))
    }

    const fn requests(self) -> u32 {
        self.active.saturating_add(self.queued)
    }
}

/// One region.
pub(super) struct RegionRow<'a> {
    pub(super) name: &'a str,
    /// Who coordinates there, by role.
    pub(super) coordinators: String,
    pub(super) nodes: usize,
    pub(super) live: usize,
    pub(super) hottest: Option<&'a Board>,
    pub(super) load: Load,
}

/// One board; a node that has told of none has one row without.
pub(super) struct BoardRow<'a> {
    pub(super) node: &'a Node,
    pub(super) board: Option<&'a Board>,
    /// Of the replicas that run on it.
    pub(super) load: Load,
    /// Of its reading, by now.
    pub(super) age: Option<Duration>,
    pub(super) history: &'a History,
}

/// One replica on one node.
pub(super) struct ReplicaRow<'a> {
    pub(super) node: &'a Node,
    pub(super) replica: &'a Replica,
    /// Of what its node said, by now.
    pub(super) age: Option<Duration>,
}

/// All of it.
pub(super) struct View<'a> {
    pub(super) regions: Vec<RegionRow<'a>>,
    pub(super) boards: Vec<BoardRow<'a>>,
    pub(super) replicas: Vec<ReplicaRow<'a>>,
}

impl<'a> View<'a> {
    /// Of an answer that was given so long ago.
    pub(super) fn of(status: &'a Status, history: &'a History, sort: Sort, held: Duration) -> Self {
        let mut boards: Vec<_> = status.nodes.iter().flat_map(|node| boards(node, history, held)).collect();
        let mut replicas: Vec<_> = status.nodes.iter().flat_map(|node| replicas(node, held)).collect();
        boards.sort_by(|one, other| before(one, other, sort));
        replicas.sort_by(|one, other| replica_before(one, other, sort));
        Self { regions: regions(status), boards, replicas }
    }
}

/// Whether the log counts the node among the living.
pub(super) fn is_live(node: &Node) -> bool {
    node.health == "live"
}

fn boards<'a>(node: &'a Node, history: &'a History, held: Duration) -> Vec<BoardRow<'a>> {
    if node.boards.is_empty() {
        let age = aged(node.told_age_ms, held);
        return vec![BoardRow { node, board: None, load: Load::of(&node.replicas), age, history }];
    }
    let row = |board: &'a Board| {
        let here = node.replicas.iter().filter(|replica| replica.boards.contains(&board.id));
        let age = aged(board.reading_age_ms, held);
        BoardRow { node, board: Some(board), load: Load::of(here), age, history }
    };
    node.boards.iter().map(row).collect()
}

fn replicas(node: &Node, held: Duration) -> impl Iterator<Item = ReplicaRow<'_>> {
    let age = aged(node.told_age_ms, held);
    node.replicas.iter().map(move |replica| ReplicaRow { node, replica, age })
}

/// An age as it was told, and the time that has passed since.
fn aged(told_ms: Option<u64>, held: Duration) -> Option<Duration> {
    told_ms.map(|age| Duration::from_millis(age).saturating_add(held))
}

fn before(one: &BoardRow<'_>, other: &BoardRow<'_>, sort: Sort) -> Ordering {
    let name = |row: &BoardRow<'_>| (row.node.id, row.board.map(|board| board.id.clone()));
    let by_name = || name(one).cmp(&name(other));
    match sort {
        Sort::Name => by_name(),
        Sort::Load => other.load.requests().cmp(&one.load.requests()).then_with(by_name),
        Sort::Heat => hotter(one.board, other.board).then_with(by_name),
    }
}

fn replica_before(one: &ReplicaRow<'_>, other: &ReplicaRow<'_>, sort: Sort) -> Ordering {
    let name = |row: &ReplicaRow<'_>| (row.replica.id, row.node.id);
    let by_name = || name(one).cmp(&name(other));
    let load = |row: &ReplicaRow<'_>| Load::of([row.replica]).requests();
    match sort {
        Sort::Name => by_name(),
        Sort::Load => load(other).cmp(&load(one)).then_with(by_name),
        Sort::Heat => hotter(hottest_of(one), hottest_of(other)).then_with(by_name),
    }
}

/// The hottest board that a replica runs on.
fn hottest_of<'a>(row: &ReplicaRow<'a>) -> Option<&'a Board> {
    let here = row.node.boards.iter().filter(|board| row.replica.boards.contains(&board.id));
    here.min_by(|one, other| hotter(Some(one), Some(other)))
}

/// The hotter board first; no board last.
fn hotter(one: Option<&Board>, other: Option<&Board>) -> Ordering {
    let (Some(one), Some(other)) = (one, other) else { return other.is_some().cmp(&one.is_some()) };
    let headroom = |board: &Board| board.headroom_celsius.unwrap_or(f64::INFINITY);
    let celsius = |board: &Board| board.temperature_celsius.unwrap_or(f64::NEG_INFINITY);
    severity(other.band)
        .cmp(&severity(one.band))
        .then_with(|| headroom(one).total_cmp(&headroom(other)))
        .then_with(|| celsius(other).total_cmp(&celsius(one)))
}

/// A band's place in the order of heat. One that is not known counts as hot, as a board does whose sensors are lost.
fn severity(band: &str) -> u8 {
    match band {
        "cool" => 0,
        "warm" => 1,
        "critical" => 3,
        _ => 2,
    }
}

fn regions(status: &Status) -> Vec<RegionRow<'_>> {
    let coordinators = status.coordinators.iter().map(|coordinator| coordinator.region.as_str());
    let names: BTreeSet<&str> =
        coordinators.chain(status.nodes.iter().map(|node| node.region.as_str())).collect();
    names.into_iter().map(|name| region(status, name)).collect()
}

fn region<'a>(status: &'a Status, name: &'a str) -> RegionRow<'a> {
    let nodes = || status.nodes.iter().filter(move |node| node.region == name);
    RegionRow {
        name,
        coordinators: roles(status, name),
        nodes: nodes().count(),
        live: nodes().filter(|node| is_live(node)).count(),
        hottest: nodes().flat_map(|node| &node.boards).min_by(|one, other| hotter(Some(one), Some(other))),
        load: Load::of_nodes(nodes()),
    }
}

/// The coordinators of a region by what they do, the leader first: `leader 1, follower 2 3`.
fn roles(status: &Status, region: &str) -> String {
    let mut roles: BTreeMap<(bool, &str), String> = BTreeMap::new();
    for coordinator in status.coordinators.iter().filter(|coordinator| coordinator.region == region) {
        let role = coordinator.role.as_str();
        let ids = roles.entry((role != "leader", role)).or_default();
        // Writing to a String cannot fail.
        let _ = write!(ids, " {}", coordinator.id);
    }
    let told: Vec<String> = roles.into_iter().map(|((_, role), ids)| format!("{role}{ids}")).collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use helixflow_proto::v1::{NodeStatus, StatusResponse};

    use super::*;
    use crate::status::samples;

    fn order(wire: StatusResponse, sort: Sort) -> Vec<(u64, Option<String>)> {
        let (status, history) = (Status::from(wire), History::default());
        let view = View::of(&status, &history, sort, Duration::ZERO);
        view.boards.iter().map(|row| (row.node.id, row.board.map(|board| board.id.clone()))).collect()
    }

    fn nodes(wire: StatusResponse, sort: Sort) -> Vec<u64> {
        order(wire, sort).into_iter().map(|(node, _)| node).collect()
    }

    #[test]
    fn boards_are_sorted_by_heat_load_or_name_and_a_node_without_any_has_a_row() {
        assert_eq!(nodes(samples::fleet(), Sort::Heat), [2, 1, 3]);
        assert_eq!(nodes(samples::fleet(), Sort::Name), [1, 2, 3]);
        let mut busy = samples::fleet();
        busy.nodes[0].replicas = vec![samples::replica(1, "simulated-0", 9, 9)];
        assert_eq!(nodes(busy, Sort::Load), [1, 2, 3]);
    }

    #[test]
    fn of_two_boards_in_a_band_the_hotter_one_comes_first() {
        let boards = |id, celsius| samples::node(id, "eu-1", vec![samples::cool_board("b", celsius)], vec![]);
        let nodes_of = vec![boards(1, 40_000), boards(2, 55_000), boards(3, 48_000)];
        let wire = StatusResponse { nodes: nodes_of, ..samples::fleet() };
        assert_eq!(nodes(wire, Sort::Heat), [2, 3, 1]);
    }

    #[test]
    fn a_board_has_the_load_of_the_replicas_that_run_on_it() {
        let mut wire = samples::fleet();
        wire.nodes[1].boards.push(samples::cool_board("other", 40_000));
        let (status, history) = (Status::from(wire), History::default());
        let view = View::of(&status, &history, Sort::Name, Duration::ZERO);
        let loads: Vec<u32> = view.boards.iter().map(|row| row.load.requests()).collect();
        assert_eq!(loads, [0, 5, 0, 0]);
    }

    #[test]
    fn ages_go_on_growing_while_no_answer_comes() {
        let (status, history) = (Status::from(samples::fleet()), History::default());
        let view = View::of(&status, &history, Sort::Name, Duration::from_secs(4));
        assert_eq!(view.boards[1].age, Some(Duration::from_millis(4000 + 250 + 120)));
        assert_eq!(view.replicas[1].age, Some(Duration::from_millis(4000 + 250)));
        assert_eq!(view.boards[2].age, None, "a node that never reported");
    }

    #[test]
    fn a_report_that_was_old_when_it_came_is_told_as_old() {
        let mut wire = samples::fleet();
        wire.nodes[1].report_own_age_ms = 3_000;
        let (status, history) = (Status::from(wire), History::default());
        let view = View::of(&status, &history, Sort::Name, Duration::ZERO);
        assert_eq!(view.boards[1].age, Some(Duration::from_millis(250 + 3_000 + 120)));
        assert_eq!(view.replicas[1].age, Some(Duration::from_millis(250 + 3_000)));
    }

    #[test]
    fn a_region_is_its_coordinators_its_nodes_and_its_hottest_board() {
        let (status, history) = (Status::from(samples::fleet()), History::default());
        let view = View::of(&status, &history, Sort::Heat, Duration::ZERO);
        let [eu, us] = &view.regions[..] else { panic!("two regions") };
        assert_eq!((eu.name, eu.coordinators.as_str()), ("eu-1", "leader 1, follower 2"));
        assert_eq!((eu.live, eu.nodes, us.live, us.nodes), (2, 2, 0, 1));
        assert_eq!(eu.hottest.map(|board| board.band), Some("hot"));
        assert_eq!((eu.load.active, eu.load.queued), (3, 2));
    }

    /// The sums of one region with a node that is busy and one that does nothing, changed as told.
    fn sums(change: impl FnOnce(&mut NodeStatus)) -> (u32, u32, f64) {
        let mut wire = samples::fleet();
        change(&mut wire.nodes[1]);
        let (status, history) = (Status::from(wire), History::default());
        let Load { active, queued, tokens_per_second } =
            View::of(&status, &history, Sort::Heat, Duration::ZERO).regions[0].load;
        (active, queued, tokens_per_second)
    }

    #[test]
    fn sums_count_what_nodes_do_now_and_not_what_lost_silent_or_idle_ones_did() {
        assert_eq!(sums(|_| {}), (3, 2, 41.5), "the idle one tells its last speed too");
        assert_eq!(sums(|node| node.health = "lost".to_owned()), (0, 0, 0.0));
        assert_eq!(sums(|node| node.report_age_ms = Some(5_001)), (0, 0, 0.0));
        assert_eq!(sums(|node| node.report_own_age_ms = 5_001), (0, 0, 0.0), "old when it came");
        assert_eq!(sums(|node| node.report_age_ms = None), (0, 0, 0.0));
    }
}
