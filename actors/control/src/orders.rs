//! Which orders a node obeys: never an older one, and never an older generation of a replica.
//!
//! An order is complete: what it does not name is to be stopped. A higher incarnation (a restored or recovered cluster)
//! is obeyed even with a lower epoch; within one incarnation epochs only rise.

use std::collections::BTreeMap;

use helixflow_model::{Epoch, Fence, Incarnation, ModelSpec, ReplicaAssignment, ReplicaId};
use serde::{Deserialize, Serialize};

/// One replica part that a node is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Replica, generation and layers.
    pub replica: ReplicaAssignment,
    /// The model, with its sources.
    pub spec: ModelSpec,
}

impl Assignment {
    /// Replica and generation.
    pub const fn fence(&self) -> Fence {
        self.replica.fence
    }
}

/// Everything that a node is to run, as a coordinator says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    /// The life of the cluster.
    pub incarnation: Incarnation,
    /// The log index that says so.
    pub epoch: Epoch,
    /// The parts to run.
    pub assignments: Vec<Assignment>,
}

impl Orders {
    /// Whether whoever has heard `others` must not obey these any more.
    pub fn are_older_than(&self, others: &Self) -> bool {
        (self.incarnation, self.epoch) < (others.incarnation, others.epoch)
    }
}

/// Orders that must not be obeyed, because newer ones were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "orders of {incarnation}, {epoch} are older than {held_incarnation}, {held_epoch}, which this node obeys"
)]
pub struct Stale {
    incarnation: Incarnation,
    epoch: Epoch,
    held_incarnation: Incarnation,
    held_epoch: Epoch,
}

/// A difference between what runs and what is to run.
#[expect(clippy::large_enum_variant, reason = "orders are few, and none is kept: a box would buy nothing")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Run this, in place of an older generation of the same replica if there is one.
    Run(Assignment),
    /// Stop this.
    Stop(Fence),
}

/// What a node has accepted; kept on its disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The life of the cluster.
    pub incarnation: Incarnation,
    /// The newest log index obeyed.
    pub epoch: Epoch,
    /// What is to run.
    pub assignments: BTreeMap<ReplicaId, Assignment>,
}

impl Accepted {
    /// What the node will have accepted once it obeys `orders`, and what changes thereby.
    pub fn consider(&self, orders: Orders) -> Result<(Self, Vec<Change>), Stale> {
        let Orders { incarnation, epoch, assignments } = orders;
        if (incarnation, epoch) < (self.incarnation, self.epoch) {
            return Err(Stale {
                incarnation,
                epoch,
                held_incarnation: self.incarnation,
                held_epoch: self.epoch,
            });
        }
        let reborn = incarnation > self.incarnation;
        let mut next = Self { incarnation, epoch, assignments: BTreeMap::new() };
        let mut changes = Vec::new();
        for assignment in assignments {
            let replica = assignment.fence().replica;
            let held = self.assignments.get(&replica);
            let kept = held.filter(|held| keeps(held, &assignment, reborn));
            if kept.is_none() {
                changes.push(Change::Run(assignment.clone()));
            }
            next.assignments.insert(replica, kept.cloned().unwrap_or(assignment));
        }
        let stopped = self.assignments.iter().filter(|(replica, _)| !next.assignments.contains_key(replica));
        changes.extend(stopped.map(|(_, held)| Change::Stop(held.fence())));
        Ok((next, changes))
    }
}

/// Whether what runs stays: it is of the same generation, or of a newer one in the same life of the cluster.
fn keeps(held: &Assignment, ordered: &Assignment, reborn: bool) -> bool {
    let (held, ordered) = (held.fence().generation, ordered.fence().generation);
    held == ordered || (held > ordered && !reborn)
}

#[cfg(test)]
mod tests;
