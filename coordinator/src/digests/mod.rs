//! Between regions: whoever speaks for a region tells the others once a second what it heard of its nodes.
//!
//! Two kinds of message go out, by the same call. To the higher coordinators of the own region an empty one, as a sign of
//! life: the lowest that shows one is the reporter. To every coordinator of the other regions the digest, from the
//! reporter alone. What comes in is laid beside the reports of the own nodes, in the same words, with its age.
//!
//! Nothing runs here while all coordinators stand in one region.

mod peer;
mod presence;
mod service;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_env::Env;
use helixflow_model::{CoordinatorId, Region};
use helixflow_policy::failover::{DIGEST_EVERY, condensed, is_reporter, spans_regions};
use helixflow_policy::state::{ClusterState, Coordinator};
use helixflow_proto::hello::Hello;
use helixflow_proto::v1::{NodeReport, RegionDigest};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::peer::Peer;
pub(crate) use self::presence::Presence;
pub(crate) use self::service::{MAX_DIGEST_BYTES, Service, WINDOW};
use crate::telemetry::Reports;

/// A node that was not heard of for so long is left out: elsewhere, what was last said of it goes on ageing.
const OLDEST: Duration = Duration::from_secs(30);

/// What the exchange needs.
pub(crate) struct Exchange {
    pub(crate) env: Env,
    pub(crate) hello: Hello,
    pub(crate) us: CoordinatorId,
    pub(crate) region: Region,
    pub(crate) state: watch::Receiver<Arc<ClusterState>>,
    pub(crate) reports: watch::Receiver<Arc<Reports>>,
    pub(crate) presence: Presence,
    /// Where it is told whether this coordinator speaks for its region.
    pub(crate) speaks: watch::Sender<bool>,
}

impl Exchange {
    /// Goes on for as long as it is polled.
    pub(crate) async fn run(mut self) {
        loop {
            // The sender lives as long as Raft, and so does this.
            if self.state.wait_for(|state| spans_regions(state)).await.is_err() {
                return;
            }
            self.exchange().await;
            self.speaks.send_replace(false);
        }
    }

    /// Rounds until there is one region alone.
    async fn exchange(&self) {
        let mut peers: BTreeMap<CoordinatorId, Peer> = BTreeMap::new();
        let mut rounds = interval(DIGEST_EVERY);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.presence.listen(Instant::now());
        loop {
            rounds.tick().await;
            // Not the tick's own time, which is in the past after a stall.
            let now = Instant::now();
            let state = Arc::clone(&self.state.borrow());
            if !spans_regions(&state) {
                return;
            }
            let speaks = is_reporter(&state, self.us, &self.presence.signs(now));
            if self.speaks.send_replace(speaks) != speaks {
                tracing::info!(region = %self.region, speaks, "who speaks for the region has changed");
            }
            self.tell(&state, &mut peers, speaks, now);
        }
    }

    /// Hands each of the others what it is to hear; those that are gone are let go.
    fn tell(
        &self,
        state: &ClusterState,
        peers: &mut BTreeMap<CoordinatorId, Peer>,
        speaks: bool,
        now: Instant,
    ) {
        let sign = Arc::new(self.message(Vec::new()));
        let reports = Arc::clone(&self.reports.borrow());
        let digest = speaks.then(|| Arc::new(self.message(nodes(&self.region, &reports, now))));
        let told = |id: CoordinatorId, known: &Coordinator| match known.region == self.region {
            true => (id > self.us).then(|| Arc::clone(&sign)),
            false => digest.clone(),
        };
        peers.retain(|id, peer| {
            state.coordinators().get(id).is_some_and(|known| known.grpc == peer.address())
        });
        for (id, known) in state.coordinators() {
            if let Some(message) = told(*id, known) {
                let peer = peers.entry(*id).or_insert_with(|| Peer::to(&known.grpc, &self.env, &self.hello));
                peer.tell(message, now);
            }
        }
    }

    fn message(&self, nodes: Vec<NodeReport>) -> RegionDigest {
        RegionDigest { coordinator: self.us.0, region: self.region.to_string(), nodes, way_ms: 0 }
    }
}

/// The nodes of a region, as they are passed on. What another region told is never passed on: one hop, and no circles.
fn nodes(region: &Region, reports: &Reports, now: Instant) -> Vec<NodeReport> {
    let held = reports.iter().map(|(_, heard)| (&heard.report, now.saturating_duration_since(heard.at)));
    let ours = held.filter(|(report, held)| report.region == *region && *held < OLDEST);
    ours.map(|(report, held)| condensed(report, held).into()).collect()
}
