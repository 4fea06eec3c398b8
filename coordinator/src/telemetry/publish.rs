//! The publisher: copies what has come in for whoever reads all of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Telemetry;
use super::news::News;

/// Figures make one copy, and one routing table, in so much time: with ten thousand nodes there is always news.
const PAUSE: Duration = Duration::from_millis(100);
/// A change of band or duty waits no longer than this, which leaves it most of the quarter of a second in which requests
/// are to go elsewhere: many boards of a row get hot together.
const SHORT_PAUSE: Duration = Duration::from_millis(20);

impl News {
    /// How long after the last copy the next one may come.
    const fn pause(self) -> Duration {
        match self {
            Self::Figures => PAUSE,
            Self::Change => SHORT_PAUSE,
        }
    }
}

impl Telemetry {
    /// Publishes for as long as it is polled.
    pub(crate) async fn publish(self) {
        let mut last: Option<Instant> = None;
        loop {
            self.due(last).await;
            let reports = {
                let mut held = self.held.lock();
                held.news = None;
                held.reports.clone()
            };
            last = Some(Instant::now());
            self.published.send_replace(Arc::new(reports));
        }
    }

    /// Waits until there is news, and until they are due.
    async fn due(&self, last: Option<Instant>) {
        loop {
            let told = self.told.notified();
            let news = self.held.lock().news;
            let Some(news) = news else {
                told.await;
                continue;
            };
            let Some(due) = last.map(|last| last + news.pause()).filter(|due| Instant::now() < *due) else {
                return;
            };
            // Worse news may come meanwhile.
            let _ = timeout_at(due, told).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use helixflow_model::{NodeId, ReplicaPhase};
    use helixflow_policy::state::MAX_NODES;
    use tokio::sync::watch;

    use super::super::reports::Reports;
    use super::super::{replica, report};
    use super::*;

    /// A publisher that has published one report of node 1 just now.
    async fn published() -> (Telemetry, watch::Receiver<Arc<Reports>>, Instant) {
        let telemetry = Telemetry::new();
        let mut watch = telemetry.watch();
        tokio::spawn(telemetry.clone().publish());
        telemetry.hear(report(1, 1), 1, Instant::now()).expect("room");
        watch.changed().await.expect("a publisher");
        watch.borrow_and_update();
        (telemetry, watch, Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn figures_wait_for_each_other_and_come_ten_times_a_second() {
        let (telemetry, mut watch, begun) = published().await;
        for sequence in 2..=50 {
            telemetry.hear(report(1, sequence), 1, Instant::now()).expect("room");
        }
        watch.changed().await.expect("a publisher");
        assert_eq!(watch.borrow_and_update().get(NodeId(1)).map(|heard| heard.report.sequence), Some(50));
        assert_eq!(begun.elapsed().as_millis() / 10, PAUSE.as_millis() / 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_standing_is_published_soon_even_after_figures_have_begun_to_wait() {
        let (telemetry, mut watch, begun) = published().await;
        telemetry.hear(report(1, 2), 1, Instant::now()).expect("room");
        tokio::task::yield_now().await;
        let mut changed = report(1, 3);
        changed.replicas = vec![replica(ReplicaPhase::Draining)];
        telemetry.hear(changed, 1, Instant::now()).expect("room");
        watch.changed().await.expect("a publisher");
        assert_eq!(watch.borrow_and_update().get(NodeId(1)).map(|heard| heard.report.sequence), Some(3));
        assert!(begun.elapsed() <= SHORT_PAUSE + Duration::from_millis(1), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_in_is_published_even_where_there_is_no_room_for_the_rest() {
        let (telemetry, mut watch, _) = published().await;
        let told: Vec<_> = (2..=MAX_NODES as u64 + 1).map(|node| report(node, 1)).collect();
        assert!(telemetry.hear_of(told, Duration::ZERO, Instant::now()).is_err());
        let more = tokio::time::timeout(Duration::from_secs(60), watch.changed());
        assert!(more.await.is_ok());
        assert_eq!(watch.borrow_and_update().iter().count(), MAX_NODES);
    }

    #[tokio::test(start_paused = true)]
    async fn while_nobody_reports_nothing_is_published() {
        let (_telemetry, mut watch, _) = published().await;
        let more = tokio::time::timeout(Duration::from_secs(60), watch.changed());
        assert!(more.await.is_err());
    }
}
