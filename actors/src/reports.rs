//! The latest report of this node, which grows older while it waits to be read.

use helixflow_model::{BoardReport, NodeReport};
use tokio::sync::watch;
use tokio::time::Instant;

/// A report, and when its figures were taken.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) report: NodeReport,
    pub(crate) at: Instant,
}

impl Made {
    /// The report with the ages of this moment: those of its making, and the time since.
    pub(crate) fn now(&self) -> NodeReport {
        let waited = self.at.elapsed();
        let mut report = self.report.clone();
        report.age = report.age.saturating_add(waited);
        for BoardReport { age, .. } in &mut report.boards {
            *age = age.saturating_add(waited);
        }
        report
    }
}

/// The latest report of a node; none before it has joined a cluster.
#[derive(Clone, Debug)]
pub struct Reports(pub(crate) watch::Receiver<Option<Made>>);

impl Reports {
    /// The latest, with the ages of this moment.
    pub fn latest(&self) -> Option<NodeReport> {
        self.0.borrow().as_ref().map(Made::now)
    }

    /// The first from now on that fits; none once the node's actors have ended.
    pub async fn wait_for(&mut self, mut fits: impl FnMut(&NodeReport) -> bool) -> Option<NodeReport> {
        let made = self.0.wait_for(|made| made.as_ref().is_some_and(|made| fits(&made.report))).await.ok()?;
        made.as_ref().map(Made::now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use helixflow_model::{NodeId, Region};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_report_grows_older_while_it_waits() {
        let report = NodeReport {
            node: NodeId(1),
            region: Region::new("eu-1").expect("a valid name"),
            advertise: "127.0.0.1:7100".to_owned(),
            sequence: 1,
            age: Duration::from_millis(40),
            boards: Vec::new(),
            replicas: Vec::new(),
        };
        let reports = watch::Sender::new(Some(Made { report, at: Instant::now() }));
        let latest = Reports(reports.subscribe());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(latest.latest().map(|report| report.age), Some(Duration::from_millis(2040)));
    }
}
