//! A node's metrics: gauges of the latest report, set when somebody asks, and counters that add up from report to report.
//!
//! A gauge costs nothing while nobody asks. What happens between two questions must not be lost, though: throttled time,
//! energy and faults are counted with every report ([`Meter::follow`]). `docs/metrics.md` lists every name; a test holds it
//! to what is exported.

mod board;
mod tally;

use std::sync::Arc;

use futures::{Stream, StreamExt};
use helixflow_actors::{ActorKind, ActorReport};
use helixflow_model::{NodeReport, ReplicaPhase, ReplicaReport};
use metrics::gauge;
use parking_lot::Mutex;
use tokio::time::Instant;

use self::tally::Tally;

/// What the metrics remember between reports. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    tally: Tally,
    /// The report that was counted last, and when it was made.
    counted: Option<(u64, Instant)>,
}

impl Meter {
    /// Counts every report until there are no more.
    pub(crate) async fn follow(&self, mut reports: impl Stream<Item = NodeReport> + Unpin) {
        while let Some(report) = reports.next().await {
            self.count(&report, Instant::now());
        }
    }

    /// Sets every gauge and counter to what the latest report says by `now`.
    pub(crate) fn set(&self, report: &NodeReport, now: Instant) {
        let since = now.saturating_duration_since(self.count(report, now));
        report.boards.iter().for_each(|board| board::set(board, since));
        report.replicas.iter().for_each(replica);
        self.0.lock().tally.set();
    }

    /// Counts a report once, however often it is shown, and says when it was made.
    fn count(&self, report: &NodeReport, now: Instant) -> Instant {
        let made = now.checked_sub(report.age).unwrap_or(now);
        let mut state = self.0.lock();
        match state.counted {
            Some((sequence, at)) if sequence == report.sequence => at,
            _ => {
                state.tally.count(&report.boards, made);
                state.counted = Some((report.sequence, made));
                made
            }
        }
    }
}

/// Sets how many messages wait in the mailboxes of each kind of actor.
pub(crate) fn mailboxes(tree: &ActorReport) {
    let actors = tree.all();
    for kind in ActorKind::ALL {
        let waiting: usize =
            actors.iter().filter(|actor| actor.kind == kind).map(|actor| actor.mailbox).sum();
        gauge!("helixflow_actor_mailbox_depth", "actor" => kind.as_str()).set(waiting as f64);
    }
}

fn replica(report: &ReplicaReport) {
    let labels = [("model", report.model.to_string()), ("replica", report.fence.replica.to_string())];
    let is_ready = f64::from(u8::from(report.phase == ReplicaPhase::Ready));
    let load = report.load;
    gauge!("helixflow_replica_ready", &labels).set(is_ready);
    gauge!("helixflow_queue_depth", &labels).set(f64::from(load.queued));
    gauge!("helixflow_active_sequences", &labels).set(f64::from(load.active));
    gauge!("helixflow_busy_requests", &labels).set(f64::from(load.busy_milli) / 1000.0);
    gauge!("helixflow_kv_pages_free", &labels).set(f64::from(load.kv_pages_free));
    gauge!("helixflow_kv_pages", &labels).set(f64::from(load.kv_pages_total));
    gauge!("helixflow_prefill_backlog_tokens", &labels).set(f64::from(load.prefill_backlog));
    gauge!("helixflow_tokens_per_second", &labels).set(load.millitokens_per_second as f64 / 1000.0);
}

#[cfg(test)]
mod tests;
