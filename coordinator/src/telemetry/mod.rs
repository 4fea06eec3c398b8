//! Soft state of the nodes: the latest report of each, in memory, with when it came. It never enters the log.
//!
//! Ages are durations on this process's own clock. Bounded in nodes, in message size and in silence.

mod reports;
mod service;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

pub(crate) use reports::Reports;
pub(crate) use service::{MAX_REPORT_BYTES, Service};

use helixflow_model::NodeReport;
use helixflow_policy::state::MAX_NODES;
use tokio::time::Instant;

/// Where reports arrive. Clones share it.
#[derive(Clone)]
pub(crate) struct Telemetry {
    latest: watch::Sender<Arc<Reports>>,
    streams: Arc<Mutex<u64>>,
}

/// There are reports of as many nodes as there can be.
#[derive(Debug, thiserror::Error)]
#[error("reports of {MAX_NODES} nodes are held already, more than a cluster has: check who reports here")]
pub(crate) struct TooManyNodes;

impl Telemetry {
    /// Nobody heard yet.
    pub(crate) fn new() -> Self {
        Self { latest: watch::channel(Arc::default()).0, streams: Arc::default() }
    }

    /// The latest reports, now and after every new one.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Reports>> {
        self.latest.subscribe()
    }

    /// A number for a new stream, above those of all before it.
    fn begin_stream(&self) -> u64 {
        let mut streams = self.streams.lock();
        *streams += 1;
        *streams
    }

    /// Takes in what another coordinator heard of nodes, `way` ago or longer by the ages that the reports name; tells how
    /// many of them are news.
    pub(crate) fn hear_of(
        &self,
        reports: impl Iterator<Item = NodeReport>,
        way: Duration,
        now: Instant,
    ) -> Result<usize, TooManyNodes> {
        let mut result = Ok(0);
        self.latest.send_if_modified(|held| {
            let held = Arc::make_mut(held);
            result = reports
                .map(|report| held.hear_of(report, way, now))
                .try_fold(0, |news, heard| heard.map(|is_news| news + usize::from(is_news)));
            !matches!(result, Ok(0))
        });
        result
    }

    /// Takes a report in, unless a newer stream of the same node has spoken.
    pub(crate) fn hear(&self, report: NodeReport, stream: u64, at: Instant) -> Result<(), TooManyNodes> {
        let mut result = Ok(());
        self.latest.send_if_modified(|reports| {
            let heard = Arc::make_mut(reports).hear(report, stream, at);
            let changed = matches!(heard, Ok(true));
            result = heard.map(|_| ());
            changed
        });
        result
    }
}
