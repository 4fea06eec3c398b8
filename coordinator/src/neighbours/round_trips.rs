//! The way to each of the other coordinators, measured once.
//!
//! What does not fit is warned of, not refused: a network that is slow while a coordinator starts would otherwise become
//! one coordinator less. Runs of the same question are short, so that a start on a busy machine is not judged by one of
//! them: the median counts, and of the peers the farthest.

use std::collections::BTreeMap;
use std::time::Duration;

use helixflow_model::CoordinatorId;
use helixflow_policy::failover::{Advice, advise};
use tokio::time::Instant;

use crate::config::Timings;
use crate::raft::Handle;

/// Questions to one coordinator: odd, so that there is a middle one.
const QUESTIONS: usize = 5;

/// The median round trip to each coordinator that answered.
#[derive(Debug, Default)]
pub(super) struct RoundTrips(BTreeMap<CoordinatorId, Duration>);

impl RoundTrips {
    pub(super) fn knows(&self, id: CoordinatorId) -> bool {
        self.0.contains_key(&id)
    }

    pub(super) fn retain(&mut self, keep: impl Fn(CoordinatorId) -> bool) {
        self.0.retain(|id, _| keep(*id));
    }

    /// Measures the way to one that has just answered, and so is connected; tells whether it could.
    pub(super) async fn measure(&mut self, raft: &Handle, id: CoordinatorId, address: &str) -> bool {
        let mut taken = Vec::with_capacity(QUESTIONS);
        for _ in 0..QUESTIONS {
            let begun = Instant::now();
            if raft.describe(address.to_owned()).await.is_err() {
                return false;
            }
            taken.push(begun.elapsed());
        }
        taken.sort_unstable();
        let median = taken.get(QUESTIONS / 2).copied().unwrap_or_default();
        tracing::info!(peer = %id, median_us = median.as_micros() as u64, "the way to another coordinator");
        self.0.insert(id, median);
        true
    }

    /// Judges timings by the longest way.
    pub(super) fn advise(&self, timings: &Timings) -> Option<Advice> {
        let longest = self.0.values().max()?;
        advise(timings.heartbeat, timings.election_min, *longest)
    }
}
