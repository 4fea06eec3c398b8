//! How one replica stands towards requests: what the log wants of it, and what its nodes say.
//!
//! A node that reports a later epoch than this state knows more than the state does, and is believed; so a gateway
//! that lags behind the log, or is cut off from it, goes on. Reports do not name layers yet, so a replica known from a
//! report alone is taken for a whole one. Of a replica that is split over nodes the first one's load and boards count.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use helixflow_model::{Epoch, Fence, NodeId, ReplicaId, ReplicaPhase, ReplicaReport};

use super::{
    candidate::Rank,
    heat::{boards, rank},
    table::Heard,
};
use crate::state::{ClusterState, NodeHealth, Replica};

/// A lost node counts only while its reports are as fresh as this: it may be cut off from the leader, but not from
/// this gateway. The node of a crashed machine would cost each request a failed call.
const FRESH: Duration = Duration::from_secs(3);

/// How a replica stands.
#[derive(Clone, Copy)]
pub(super) enum Standing<'a> {
    Ready(Ready<'a>),
    Loading,
    Draining,
    /// A board of it is in quarantine, which is for boards that have failed: nothing goes there, whoever else can.
    Resting,
    /// It failed, or its node is lost and silent.
    Gone,
}

/// A replica that answers, by its node's word.
#[derive(Clone, Copy)]
pub(super) struct Ready<'a> {
    pub(super) heard: &'a Heard,
    /// Its place in the report.
    pub(super) at: usize,
    pub(super) replica: &'a ReplicaReport,
    pub(super) rank: Rank,
}

/// How a replica of the log stands, by what the nodes of its parts say.
pub(super) fn standing<'a>(
    state: &ClusterState,
    heard: &'a BTreeMap<NodeId, Heard>,
    id: ReplicaId,
    replica: &Replica,
) -> Standing<'a> {
    let mut draining = false;
    let mut loading = false;
    let mut head = None;
    for part in &replica.parts {
        let said = heard.get(&part.node);
        let lost = state.nodes().get(&part.node).is_none_or(|node| node.health == NodeHealth::Lost);
        if lost && said.is_none_or(|heard| heard.age > FRESH) {
            return Standing::Gone;
        }
        let fence = Fence { replica: id, generation: replica.generation };
        let Some((heard, at, part)) =
            said.and_then(|heard| held(heard, fence, state.epoch()).map(|(at, part)| (heard, at, part)))
        else {
            loading = true;
            continue;
        };
        match part.phase {
            ReplicaPhase::Ready => head = head.or(Some((heard, at, part))),
            ReplicaPhase::Fetching | ReplicaPhase::Loading => loading = true,
            ReplicaPhase::Draining => draining = true,
            ReplicaPhase::Failed => return Standing::Gone,
        }
    }
    match head {
        _ if draining => Standing::Draining,
        Some((heard, at, replica)) if !loading => spoken_for(heard, at, replica),
        _ => Standing::Loading,
    }
}

/// What a node holds of a replica: at the generation of the log, or at a later one that the log has yet to tell.
fn held(heard: &Heard, fence: Fence, epoch: Epoch) -> Option<(usize, &ReplicaReport)> {
    heard.report.replicas.iter().enumerate().find(|(_, report)| {
        report.fence == fence
            || (report.fence.replica == fence.replica
                && report.fence.generation > fence.generation
                && report.epoch > epoch)
    })
}

/// Replicas that nodes hold by a later log than this state's: where they stand in a report.
pub(super) fn unknown_replicas<'a>(
    state: &ClusterState,
    heard: &'a BTreeMap<NodeId, Heard>,
    told: &BTreeSet<ReplicaId>,
) -> impl Iterator<Item = (&'a Heard, usize, &'a ReplicaReport)> {
    heard
        .values()
        .flat_map(|heard| {
            heard.report.replicas.iter().enumerate().map(move |(at, replica)| (heard, at, replica))
        })
        .filter(|(.., replica)| replica.epoch > state.epoch() && !told.contains(&replica.fence.replica))
}

/// How a replica stands by its node's word.
pub(super) fn spoken_for<'a>(heard: &'a Heard, at: usize, replica: &'a ReplicaReport) -> Standing<'a> {
    match replica.phase {
        ReplicaPhase::Ready => match rank(boards(&heard.report, replica)) {
            Some(rank) => Standing::Ready(Ready { heard, at, replica, rank }),
            None => Standing::Resting,
        },
        ReplicaPhase::Fetching | ReplicaPhase::Loading => Standing::Loading,
        ReplicaPhase::Draining => Standing::Draining,
        ReplicaPhase::Failed => Standing::Gone,
    }
}
