//! Which replicas failed where, for long enough that a model which cannot run does not wander from node to node.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use helixflow_model::{Fence, NodeId, NodeReport, ReplicaPhase};

use crate::state::ModelKey;

/// After this long a node may be tried again: weights were fetched anew, a disk has room again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// A node that reported a replica as failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// The model.
    pub model: ModelKey,
    /// Where it failed.
    pub node: NodeId,
    /// The replica, at the generation that failed.
    pub fence: Fence,
}

/// The recent failures: soft state of the leader, at most one for each model on each node.
#[derive(Clone, Debug, Default)]
pub struct FailureLog {
    seen: BTreeMap<(ModelKey, NodeId), (Fence, Duration)>,
}

impl FailureLog {
    /// Notes what a node reports; `now` counts from an origin that the caller keeps. A model that is ready on the
    /// node has not failed there any more.
    pub fn note(&mut self, report: &NodeReport, now: Duration) {
        for replica in &report.replicas {
            let model = ModelKey { id: replica.model.clone(), version: replica.version.clone() };
            match replica.phase {
                ReplicaPhase::Failed => {
                    self.seen.insert((model, report.node), (replica.fence, now));
                }
                ReplicaPhase::Ready => {
                    self.seen.remove(&(model, report.node));
                }
                ReplicaPhase::Fetching | ReplicaPhase::Loading | ReplicaPhase::Draining => {}
            }
        }
    }

    /// The failures that still count, forgetting the others.
    pub fn recent(&mut self, now: Duration) -> BTreeSet<Failure> {
        self.seen.retain(|_, (_, noted)| now.saturating_sub(*noted) < TRY_AGAIN_AFTER);
        let failure = |((model, node), (fence, _)): (&(ModelKey, NodeId), &(Fence, Duration))| Failure {
            model: model.clone(),
            node: *node,
            fence: *fence,
        };
        self.seen.iter().map(failure).collect()
    }
}
