//! The latest report of each node, and its age.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_model::{NodeId, NodeReport};
use helixflow_policy::state::MAX_NODES;
use tokio::time::Instant;

use super::TooManyNodes;
use super::news::News;

/// The number of no stream: every stream of the node itself comes after it.
const SECOND_HAND: u64 = 0;

/// A report and when it came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// What the node said.
    pub(crate) report: Arc<NodeReport>,
    /// When it came, on this process's clock.
    pub(crate) at: Instant,
    /// The stream that brought it: a newer one wins, whatever the old one still delivers.
    stream: u64,
}

/// The latest report of each node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reports {
    nodes: BTreeMap<NodeId, Heard>,
}

impl Reports {
    /// The latest report of a node.
    pub(crate) fn get(&self, node: NodeId) -> Option<&Heard> {
        self.nodes.get(&node)
    }

    /// Every node heard of, in the order of ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &Heard)> {
        self.nodes.iter().map(|(node, heard)| (*node, heard))
    }

    /// How long ago a node reported; `None` when it never did.
    pub(crate) fn age(&self, node: NodeId, now: Instant) -> Option<Duration> {
        self.get(node).map(|heard| now.saturating_duration_since(heard.at))
    }

    /// Takes a report in and tells how soon it should be known; none when a newer stream of the node has spoken already.
    pub(super) fn hear(
        &mut self,
        report: NodeReport,
        stream: u64,
        at: Instant,
    ) -> Result<Option<News>, TooManyNodes> {
        let node = report.node;
        let news = match self.nodes.get(&node) {
            Some(held) if held.stream > stream => return Ok(None),
            Some(held) => News::of(&held.report, &report),
            None if self.nodes.len() >= MAX_NODES => return Err(TooManyNodes),
            None => News::Change,
        };
        self.nodes.insert(node, Heard { report: Arc::new(report), at, stream });
        Ok(Some(news))
    }

    /// Takes in what another coordinator heard of a node and tells how soon it should be known; none when what is held is as
    /// new. The node's own streams go on where they were: they are nearer.
    pub(super) fn hear_of(
        &mut self,
        report: NodeReport,
        way: Duration,
        now: Instant,
    ) -> Result<Option<News>, TooManyNodes> {
        let age = report.age.saturating_add(way);
        let Some(at) = now.checked_sub(age) else { return Ok(None) };
        let (stream, news) = match self.nodes.get(&report.node) {
            Some(held) if held.at >= at => return Ok(None),
            Some(held) => (held.stream, News::of(&held.report, &report)),
            None if self.nodes.len() >= MAX_NODES => return Err(TooManyNodes),
            None => (SECOND_HAND, News::Change),
        };
        // From here on its age is told by when it would have come at once.
        let report = Arc::new(NodeReport { age: Duration::ZERO, ..report });
        self.nodes.insert(report.node, Heard { report, at, stream });
        Ok(Some(news))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use helixflow_model::{
        Band, BoardId, BoardInfo, BoardLimits, BoardReading, BoardReport, BoardStanding, ClockControl,
        DeviceKind, Duty, Epoch, Fence, Generation, LoadReport, ModelId, NumericsClass, Permille, Region,
        ReplicaId, ReplicaPhase, ReplicaReport,
    };

    use super::*;

    pub(crate) fn report(node: u64, sequence: u64) -> NodeReport {
        NodeReport {
            node: NodeId(node),
            region: Region::new("eu-1").expect("a valid name"),
            advertise: "127.0.0.1:7001".to_owned(),
            sequence,
            age: Duration::ZERO,
            boards: Vec::new(),
            replicas: Vec::new(),
        }
    }

    pub(crate) fn replica(phase: ReplicaPhase) -> ReplicaReport {
        ReplicaReport {
            fence: Fence { replica: ReplicaId(1), generation: Generation(1) },
            epoch: Epoch(1),
            model: ModelId::new("m").expect("a valid name"),
            version: "1".to_owned(),
            phase,
            detail: String::new(),
            numerics: NumericsClass("cpu-1".to_owned()),
            load: LoadReport::default(),
            boards: Vec::new(),
        }
    }

    fn board(band: Band, duty: Duty) -> BoardReport {
        let info = BoardInfo {
            board: BoardId::new("simulated-1").expect("a valid name"),
            name: "a board".to_owned(),
            kind: DeviceKind::Simulated,
            limits: BoardLimits::default(),
        };
        let standing = BoardStanding {
            band,
            duty,
            control: ClockControl::Governed,
            target_clock: None,
            forecast: None,
            headroom: None,
            speed: Permille(1000),
            weight: Permille(1000),
        };
        BoardReport { info, reading: BoardReading::default(), age: Duration::ZERO, standing }
    }

    #[tokio::test]
    async fn a_change_of_band_of_duty_or_of_who_answers_is_news_and_figures_are_not() {
        let mut reports = Reports::default();
        let mut news = |boards: Vec<BoardReport>, replicas: Vec<ReplicaReport>| {
            let said = NodeReport { boards, replicas, ..report(1, 1) };
            reports.hear(said, 1, Instant::now()).expect("room")
        };
        let cool = || vec![board(Band::Cool, Duty::Full)];
        assert_eq!(news(cool(), vec![]), Some(News::Change));
        let mut warmer = cool();
        warmer[0].standing.speed = Permille(900);
        assert_eq!(news(warmer, vec![]), Some(News::Figures));
        assert_eq!(news(vec![board(Band::Warm, Duty::Full)], vec![]), Some(News::Change));
        assert_eq!(news(vec![board(Band::Warm, Duty::Drain)], vec![]), Some(News::Change));
        let warm = || vec![board(Band::Warm, Duty::Drain)];
        assert_eq!(news(warm(), vec![replica(ReplicaPhase::Ready)]), Some(News::Change));
        let mut busy = replica(ReplicaPhase::Ready);
        busy.load.active = 7;
        assert_eq!(news(warm(), vec![busy]), Some(News::Figures));
        assert_eq!(news(warm(), vec![replica(ReplicaPhase::Failed)]), Some(News::Change));
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_report_wins_and_ages() {
        let mut reports = Reports::default();
        let begun = Instant::now();
        for sequence in 1..=2 {
            assert!(reports.hear(report(1, sequence), 1, begun).expect("room").is_some());
        }
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(reports.get(NodeId(1)).map(|h| h.report.sequence), Some(2));
        assert_eq!(reports.age(NodeId(1), Instant::now()), Some(Duration::from_secs(3)));
        assert_eq!(reports.age(NodeId(2), Instant::now()), None);
    }

    #[tokio::test]
    async fn what_an_old_stream_still_delivers_is_dropped() {
        let mut reports = Reports::default();
        assert!(reports.hear(report(1, 1), 2, Instant::now()).expect("room").is_some());
        assert_eq!(reports.hear(report(1, 99), 1, Instant::now()).expect("room"), None);
        assert_eq!(reports.get(NodeId(1)).map(|h| h.report.sequence), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_heard_counts_by_its_age_and_gives_way_to_the_node_itself() {
        let mut reports = Reports::default();
        let now = Instant::now() + Duration::from_secs(60);
        let old = NodeReport { age: Duration::from_secs(2), ..report(1, 7) };
        let way = Duration::from_millis(50);
        assert!(reports.hear_of(old.clone(), way, now).expect("room").is_some());
        assert_eq!(reports.age(NodeId(1), now), Some(Duration::from_millis(2050)));
        assert_eq!(reports.hear_of(old.clone(), way, now).expect("room"), None, "it is no news");
        assert!(reports.hear(report(1, 8), 1, now - Duration::from_secs(1)).expect("room").is_some());
        assert_eq!(reports.hear_of(old, way, now).expect("room"), None, "what the node said is newer");
        assert!(reports.hear_of(report(1, 9), way, now).expect("room").is_some());
        assert!(reports.hear(report(1, 10), 1, now).expect("room").is_some(), "its stream goes on");
    }

    #[tokio::test]
    async fn there_is_room_for_as_many_nodes_as_a_cluster_has() {
        let mut reports = Reports::default();
        for node in 0..MAX_NODES as u64 {
            reports.hear(report(node, 1), 1, Instant::now()).expect("room");
        }
        assert!(reports.hear(report(u64::MAX, 1), 1, Instant::now()).is_err());
        assert!(reports.hear(report(0, 2), 1, Instant::now()).is_ok());
    }
}
