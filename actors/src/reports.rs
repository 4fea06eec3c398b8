//! The latest report of this node, which grows older while it waits to be read.

use futures::StreamExt;
use futures::stream::BoxStream;
use helixflow_model::NodeReport;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_stream::wrappers::WatchStream;

/// A report, and when its figures were taken.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) report: NodeReport,
    pub(crate) at: Instant,
}

impl Made {
    /// The report with its age of this moment; those of its boards are told as of its making.
    pub(crate) fn now(&self) -> NodeReport {
        let mut report = self.report.clone();
        report.age = report.age.saturating_add(self.at.elapsed());
        report
    }
}

/// The latest report of a node; none before it has joined a cluster.
#[derive(Clone, Debug)]
pub struct Reports(pub(crate) watch::Receiver<Option<Made>>);

impl Reports {
    /// The latest, with its age of this moment.
    pub fn latest(&self) -> Option<NodeReport> {
        self.0.borrow().as_ref().map(Made::now)
    }

    /// Every one from now on, as far as whoever looks keeps up; ends with the node's actors.
    pub fn stream(self) -> BoxStream<'static, NodeReport> {
        let made = WatchStream::from_changes(self.0);
        made.filter_map(|made| std::future::ready(made.as_ref().map(Made::now))).boxed()
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
