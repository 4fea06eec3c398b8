//! The latest report of each node, and its age.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_model::{NodeId, NodeReport};
use helixflow_policy::state::MAX_NODES;
use tokio::time::Instant;

use super::TooManyNodes;

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

    /// Takes a report in; false when a newer stream of the node has spoken already.
    pub(super) fn hear(
        &mut self,
        report: NodeReport,
        stream: u64,
        at: Instant,
    ) -> Result<bool, TooManyNodes> {
        let node = report.node;
        match self.nodes.get(&node) {
            Some(held) if held.stream > stream => return Ok(false),
            None if self.nodes.len() >= MAX_NODES => return Err(TooManyNodes),
            _ => {}
        }
        self.nodes.insert(node, Heard { report: Arc::new(report), at, stream });
        Ok(true)
    }

    /// Takes in what another coordinator heard of a node; false when what is held is as new. The node's own streams go on
    /// where they were: they are nearer.
    pub(super) fn hear_of(
        &mut self,
        report: NodeReport,
        way: Duration,
        now: Instant,
    ) -> Result<bool, TooManyNodes> {
        let age = report.age.saturating_add(way);
        let Some(at) = now.checked_sub(age) else { return Ok(false) };
        let stream = match self.nodes.get(&report.node) {
            Some(held) if held.at >= at => return Ok(false),
            Some(held) => held.stream,
            None if self.nodes.len() >= MAX_NODES => return Err(TooManyNodes),
            None => SECOND_HAND,
        };
        // From here on its age is told by when it would have come at once.
        let report = Arc::new(NodeReport { age: Duration::ZERO, ..report });
        self.nodes.insert(report.node, Heard { report, at, stream });
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use helixflow_model::Region;

    use super::*;

    fn report(node: u64, sequence: u64) -> NodeReport {
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

    #[tokio::test(start_paused = true)]
    async fn the_latest_report_wins_and_ages() {
        let mut reports = Reports::default();
        let begun = Instant::now();
        for sequence in 1..=2 {
            assert!(reports.hear(report(1, sequence), 1, begun).expect("room"));
        }
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(reports.get(NodeId(1)).map(|h| h.report.sequence), Some(2));
        assert_eq!(reports.age(NodeId(1), Instant::now()), Some(Duration::from_secs(3)));
        assert_eq!(reports.age(NodeId(2), Instant::now()), None);
    }

    #[tokio::test]
    async fn what_an_old_stream_still_delivers_is_dropped() {
        let mut reports = Reports::default();
        assert!(reports.hear(report(1, 1), 2, Instant::now()).expect("room"));
        assert!(!reports.hear(report(1, 99), 1, Instant::now()).expect("room"));
        assert_eq!(reports.get(NodeId(1)).map(|h| h.report.sequence), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_heard_counts_by_its_age_and_gives_way_to_the_node_itself() {
        let mut reports = Reports::default();
        let now = Instant::now() + Duration::from_secs(60);
        let old = NodeReport { age: Duration::from_secs(2), ..report(1, 7) };
        let way = Duration::from_millis(50);
        assert!(reports.hear_of(old.clone(), way, now).expect("room"));
        assert_eq!(reports.age(NodeId(1), now), Some(Duration::from_millis(2050)));
        assert!(!reports.hear_of(old.clone(), way, now).expect("room"), "it is no news");
        assert!(reports.hear(report(1, 8), 1, now - Duration::from_secs(1)).expect("room"));
        assert!(!reports.hear_of(old, way, now).expect("room"), "what the node said is newer");
        assert!(reports.hear_of(report(1, 9), way, now).expect("room"));
        assert!(reports.hear(report(1, 10), 1, now).expect("room"), "its stream goes on");
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
