//! Soft state of the nodes: the latest report of each, in memory, with when it came. It never enters the log.
//!
//! ```text
//! service     one stream a node brings its reports
//! reports       the latest of each
//! news          what of a report somebody must know soon
//! publish     copies for whoever reads them all: at most ten a second, and at once after bad news
//! ```
//!
//! Ten thousand reports a second come in, each under a lock that is held for as long as it takes to put one in its place.
//! Readers get copies, made at the pace of the publisher and not of the reports; the reports themselves are shared.
//! Ages are durations on this process's own clock. Bounded in nodes, in message size and in silence.

mod news;
mod publish;
mod reports;
mod service;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};

pub(crate) use reports::Reports;
#[cfg(test)]
pub(crate) use reports::tests::{replica, report};
pub(crate) use service::{MAX_REPORT_BYTES, Service};

use helixflow_model::NodeReport;
use helixflow_policy::state::MAX_NODES;
use tokio::time::Instant;

use self::news::News;

/// Where reports arrive. Clones share it.
#[derive(Clone)]
pub(crate) struct Telemetry {
    held: Arc<Mutex<Held>>,
    /// There are more, or more urgent, news than before.
    told: Arc<Notify>,
    published: watch::Sender<Arc<Reports>>,
    streams: Arc<Mutex<u64>>,
}

/// What has come in.
#[derive(Default)]
struct Held {
    reports: Reports,
    /// The most urgent of what was not published yet.
    news: Option<News>,
}

/// There are reports of as many nodes as there can be.
#[derive(Debug, thiserror::Error)]
#[error("reports of {MAX_NODES} nodes are held already, more than a cluster has: check who reports here")]
pub(crate) struct TooManyNodes;

impl Telemetry {
    /// Nobody heard yet.
    pub(crate) fn new() -> Self {
        let (held, told, streams) = (Arc::default(), Arc::default(), Arc::default());
        Self { held, told, published: watch::channel(Arc::default()).0, streams }
    }

    /// The latest reports, as [`Self::publish`] publishes them.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Reports>> {
        self.published.subscribe()
    }

    /// A number for a new stream, above those of all before it.
    fn begin_stream(&self) -> u64 {
        let mut streams = self.streams.lock();
        *streams += 1;
        *streams
    }

    /// Takes in what another coordinator heard of nodes, `way` ago or longer by the ages that the reports name; tells how
    /// many of them are news. Of more nodes than there is room for, those that came first are taken in all the same.
    pub(crate) fn hear_of(
        &self,
        reports: Vec<NodeReport>,
        way: Duration,
        now: Instant,
    ) -> Result<usize, TooManyNodes> {
        let mut held = self.held.lock();
        let (mut count, mut most) = (0, None);
        let taken = reports.into_iter().try_for_each(|report| {
            let news = held.reports.hear_of(report, way, now)?;
            count += usize::from(news.is_some());
            most = most.max(news);
            Ok(())
        });
        self.tell(held, most);
        taken.map(|()| count)
    }

    /// Takes a report in, unless a newer stream of the same node has spoken.
    pub(crate) fn hear(&self, report: NodeReport, stream: u64, at: Instant) -> Result<(), TooManyNodes> {
        let mut held = self.held.lock();
        let news = held.reports.hear(report, stream, at)?;
        self.tell(held, news);
        Ok(())
    }

    /// Wakes the publisher for news that are more urgent than what it knows of.
    fn tell(&self, mut held: MutexGuard<'_, Held>, news: Option<News>) {
        if news > held.news {
            held.news = news;
            drop(held);
            self.told.notify_one();
        }
    }
}
