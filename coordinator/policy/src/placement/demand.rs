//! What one model wants and has, as the planner goes along.

use std::{cmp::Reverse, collections::BTreeMap};

use helixflow_model::{Duty, ModelSpec, NodeId, ReplicaId};

use crate::state::{ModelKey, MoveReason, Replica};

/// What a model wants and has.
pub(super) struct Demand<'a> {
    pub(super) key: &'a ModelKey,
    pub(super) spec: &'a ModelSpec,
    /// How many replicas there are that run, or will after the moves so far.
    pub(super) serving: u32,
    /// Replicas that nothing is known against.
    pub(super) sound: BTreeMap<ReplicaId, &'a Replica>,
    /// Replicas on lost nodes, or failed, and why they are to move.
    pub(super) unsound: BTreeMap<ReplicaId, (&'a Replica, MoveReason)>,
    /// Replicas on boards that are to be relieved.
    pub(super) leaving: BTreeMap<ReplicaId, Leaving<'a>>,
}

/// A replica on boards that are to be relieved.
#[derive(Clone, Copy)]
pub(super) struct Leaving<'a> {
    pub(super) replica: &'a Replica,
    /// The node whose boards they are; the worst where it is split over several.
    pub(super) node: NodeId,
    pub(super) duty: Duty,
}

impl<'a> Demand<'a> {
    pub(super) fn of(key: &'a ModelKey, spec: &'a ModelSpec) -> Self {
        let (sound, unsound, leaving) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { key, spec, serving: 0, sound, unsound, leaving }
    }

    pub(super) fn target(&self) -> u32 {
        self.spec.replicas
    }

    /// Replicas that are to stay: the others have substitutes, or will have.
    pub(super) fn staying(&self) -> usize {
        self.sound.len() + self.unsound.len()
    }

    /// Serving replicas above the target, which stand in for those that leave. An unsound one stands in for nobody.
    pub(super) fn substitutes(&self) -> usize {
        (self.serving.saturating_sub(self.target()) as usize).min(self.leaving.len())
    }

    /// Those that leave, the most urgent first.
    pub(super) fn by_urgency(&self) -> Vec<(ReplicaId, Leaving<'a>)> {
        let mut leaving: Vec<_> = self.leaving.iter().map(|(id, leaving)| (*id, *leaving)).collect();
        leaving.sort_by_key(|(id, leaving)| (Reverse(leaving.duty), *id));
        leaving
    }

    /// How many replicas are missing: those on boards that get nothing at all serve nobody.
    pub(super) fn missing(&self) -> u32 {
        let idle = self.leaving.values().filter(|leaving| leaving.duty == Duty::Quarantine).count();
        let working = self.serving.saturating_sub(u32::try_from(idle).unwrap_or(u32::MAX));
        self.target().saturating_sub(working)
    }

    /// Whom to serve next: the model with the fewest replicas, the largest first among equals.
    pub(super) fn urgency(&self) -> (u32, Reverse<u64>, &'a ModelKey) {
        (self.serving, Reverse(self.spec.memory.0), self.key)
    }
}
