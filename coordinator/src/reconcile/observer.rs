//! What this coordinator has seen since it judges or plans: soft state, begun anew whenever it begins to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use helixflow_model::{Fence, NodeId, NodeReport, ReplicaPhase};
use helixflow_policy::failover::{LeaseTerms, Leases, ReportTimes, Wards};
use helixflow_policy::heat::{self, HEAT_PAUSE};
use helixflow_policy::placement::{FailureLog, Observed};
use helixflow_policy::state::{ClusterState, Command};
use tokio::time::Instant;

use crate::telemetry::Reports;

/// When nodes reported, and what failed on them.
pub(super) struct Observer {
    terms: LeaseTerms,
    origin: Instant,
    times: ReportTimes,
    /// When the report came that was last taken in, by node.
    taken: BTreeMap<NodeId, Instant>,
    failures: FailureLog,
    /// When bands and duties were last proposed.
    heat_told: Option<Instant>,
}

impl Observer {
    /// Begins to observe.
    pub(super) fn begin(terms: LeaseTerms, state: &ClusterState, now: Instant) -> Self {
        Self {
            terms,
            origin: now,
            times: ReportTimes::begin(terms, state, Duration::ZERO),
            taken: BTreeMap::new(),
            failures: FailureLog::default(),
            heat_told: None,
        }
    }

    pub(super) fn terms(&self) -> &LeaseTerms {
        &self.terms
    }

    /// Takes the reports in that came since the last round, and tells how long each node has been silent.
    pub(super) fn leases(&mut self, state: &ClusterState, reports: &Reports, now: Instant) -> Leases {
        for (node, heard) in reports.iter() {
            let fresh = now.saturating_duration_since(heard.at) < self.terms.lease;
            if fresh && self.taken.insert(node, heard.at) != Some(heard.at) {
                self.times.hear(node, heard.at.saturating_duration_since(self.origin));
                self.failures.note(&heard.report, now.saturating_duration_since(self.origin));
            }
        }
        self.taken.retain(|node, _| reports.get(*node).is_some());
        self.times.round(state, now.saturating_duration_since(self.origin))
    }

    /// What of the bands and duties of its wards this judge is to record now.
    pub(super) fn heat(
        &mut self,
        state: &ClusterState,
        reports: &Reports,
        wards: &Wards<'_>,
        now: Instant,
    ) -> Option<Command> {
        if self.heat_told.is_some_and(|at| now.saturating_duration_since(at) < HEAT_PAUSE) {
            return None;
        }
        let fresh = reports.iter().filter(|(_, h)| now.saturating_duration_since(h.at) < self.terms.lease);
        let heard = fresh.map(|(_, heard)| heard.report.as_ref());
        let command = heat::changes(state, heard.filter(|report| wards.include(&report.region)))?;
        self.heat_told = Some(now);
        Some(command)
    }

    /// What the planner goes by.
    pub(super) fn observed(&mut self, reports: &Reports, leases: &Leases, now: Instant) -> Observed {
        Observed {
            live: leases.live(&self.terms),
            failures: self.failures.recent(now.saturating_duration_since(self.origin)),
            ready: ready(reports),
        }
    }
}

/// The parts of replicas that answer, by the word of their nodes.
fn ready(reports: &Reports) -> BTreeSet<(Fence, NodeId)> {
    let of = |report: &NodeReport| {
        let answering = report.replicas.iter().filter(|replica| replica.phase == ReplicaPhase::Ready);
        answering.map(|replica| (replica.fence, report.node)).collect::<Vec<_>>()
    };
    reports.iter().flat_map(|(_, heard)| of(&heard.report)).collect()
}

#[cfg(test)]
mod tests {
    use helixflow_model::{Generation, ReplicaId, ReplicaReport};

    use super::*;
    use crate::telemetry::{Telemetry, replica, report};

    /// What is published of a node that has a replica which answers and one which loads.
    async fn reports(node: NodeId) -> Reports {
        let loading = ReplicaReport { fence: fence(2), ..replica(ReplicaPhase::Loading) };
        let replicas = vec![replica(ReplicaPhase::Ready), loading];
        let report = NodeReport { replicas, ..report(node.0, 1) };
        let telemetry = Telemetry::new();
        let mut published = telemetry.watch();
        telemetry.hear(report, 1, Instant::now()).expect("room");
        tokio::spawn(telemetry.publish());
        published.changed().await.expect("a publisher");
        let reports = published.borrow_and_update();
        reports.as_ref().clone()
    }

    fn fence(id: u64) -> Fence {
        Fence { replica: ReplicaId(id), generation: Generation(1) }
    }

    #[tokio::test]
    async fn the_planner_is_told_who_answers_while_no_boards_are_to_be_relieved() {
        let (state, node, now) = (ClusterState::default(), NodeId(1), Instant::now());
        let reports = reports(node).await;
        let mut observer = Observer::begin(LeaseTerms::default(), &state, now);
        let leases = observer.leases(&state, &reports, now);
        assert_eq!(observer.observed(&reports, &leases, now).ready, [(fence(1), node)].into());
    }
}
