//! What the leader has seen since it leads: soft state, begun anew with each leadership.

use std::collections::BTreeMap;
use std::time::Duration;

use helixflow_model::NodeId;
use helixflow_policy::failover::{LeaseTerms, Leases, ReportTimes};
use helixflow_policy::placement::{FailureLog, Observed};
use helixflow_policy::state::ClusterState;
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
}

impl Observer {
    /// Begins to observe, on becoming the leader.
    pub(super) fn begin(terms: LeaseTerms, state: &ClusterState, now: Instant) -> Self {
        Self {
            terms,
            origin: now,
            times: ReportTimes::begin(terms, state, Duration::ZERO),
            taken: BTreeMap::new(),
            failures: FailureLog::default(),
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

    /// What the planner goes by.
    pub(super) fn observed(&mut self, leases: &Leases, now: Instant) -> Observed {
        Observed {
            live: leases.live(&self.terms),
            failures: self.failures.recent(now.saturating_duration_since(self.origin)),
        }
    }
}
