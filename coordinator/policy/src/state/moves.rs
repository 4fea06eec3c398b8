//! Applies a plan: every move in order, or none.
//!
//! The moves are made on a draft of the replicas; the draft takes their place only when all of them fit.

use std::collections::{BTreeMap, BTreeSet};

use helixflow_model::{Bytes, Epoch, Fence, Generation, ModelSpec, NodeId, ReplicaId};

use super::{
    ClusterState, MAX_MOVES, MAX_PARTS, ModelKey, Move, MoveReason, NodeHealth, Outcome, Part, Refusal,
    Replica,
    members::{check_room, next},
    outcome::Bounded,
};

impl ClusterState {
    pub(super) fn apply_plan(&mut self, based_on: Epoch, moves: Vec<Move>) -> Result<Outcome, Refusal> {
        let seen = self.changed..self.epoch;
        if !seen.contains(&based_on) {
            return Err(Refusal::PlanStale { based_on, changed: self.changed });
        }
        if moves.len() > MAX_MOVES {
            return Err(Refusal::TooMany { what: Bounded::Moves, limit: MAX_MOVES as u64 });
        }
        if moves.is_empty() {
            return Ok(Outcome::Unchanged);
        }
        let mut draft = Draft::of(self);
        for next in moves {
            draft.make(next)?;
        }
        let Draft { replicas, last_replica, .. } = draft;
        self.replicas = replicas;
        self.last_replica = last_replica;
        self.note_change();
        Ok(Outcome::Applied)
    }
}

/// The replicas as they would be after the moves so far.
struct Draft<'a> {
    state: &'a ClusterState,
    replicas: BTreeMap<ReplicaId, Replica>,
    committed: BTreeMap<NodeId, Bytes>,
    last_replica: u64,
}

impl<'a> Draft<'a> {
    fn of(state: &'a ClusterState) -> Self {
        Self {
            state,
            replicas: state.replicas.clone(),
            committed: state.committed(),
            last_replica: state.last_replica,
        }
    }

    fn make(&mut self, next: Move) -> Result<(), Refusal> {
        match next {
            Move::PlaceReplica { model, version, parts, reason } => {
                self.place(ModelKey { id: model, version }, parts, reason)
            }
            Move::RemoveReplica { fence, .. } => self.take(fence).map(drop),
            Move::MoveReplica { fence, parts, reason } => self.shift(fence, parts, reason),
        }
    }

    fn place(&mut self, model: ModelKey, parts: Vec<Part>, reason: MoveReason) -> Result<(), Refusal> {
        check_room(self.replicas.len(), self.state.most_replicas(), Bounded::Replicas)?;
        let number = next(self.last_replica, Bounded::Replicas)?;
        self.commit(&model, &parts)?;
        self.last_replica = number;
        let placed = self.state.epoch;
        self.replicas
            .insert(ReplicaId(number), Replica { generation: Generation(1), model, parts, placed, reason });
        Ok(())
    }

    fn shift(&mut self, fence: Fence, parts: Vec<Part>, reason: MoveReason) -> Result<(), Refusal> {
        let Replica { generation, model, .. } = self.take(fence)?;
        let generation = Generation(next(generation.0, Bounded::Generations)?);
        self.commit(&model, &parts)?;
        let placed = self.state.epoch;
        self.replicas.insert(fence.replica, Replica { generation, model, parts, placed, reason });
        Ok(())
    }

    /// Takes a replica out and gives its memory back.
    fn take(&mut self, fence: Fence) -> Result<Replica, Refusal> {
        let there = self.replicas.get(&fence.replica).is_some_and(|r| r.generation == fence.generation);
        let taken = if there { self.replicas.remove(&fence.replica) } else { None };
        let replica = taken.ok_or(Refusal::ReplicaChanged { fence })?;
        for (node, memory) in replica.memory(self.state.models.get(&replica.model)) {
            let committed = self.committed.entry(node).or_default();
            committed.0 = committed.0.saturating_sub(memory.0);
        }
        Ok(replica)
    }

    /// Checks the parts of a replica and takes their memory.
    fn commit(&mut self, model: &ModelKey, parts: &[Part]) -> Result<(), Refusal> {
        let spec =
            self.state.models.get(model).ok_or_else(|| Refusal::UnknownModel { model: model.clone() })?;
        check_layers(spec, parts)?;
        let mut seen = BTreeSet::new();
        for part in parts {
            if !seen.insert(part.node) {
                return Err(Refusal::NodeTwice { node: part.node });
            }
            self.commit_part(spec, part)?;
        }
        Ok(())
    }

    fn commit_part(&mut self, spec: &ModelSpec, part: &Part) -> Result<(), Refusal> {
        let node = self.state.nodes.get(&part.node).ok_or(Refusal::UnknownNode { node: part.node })?;
        if node.health != NodeHealth::Live {
            return Err(Refusal::NodeLost { node: part.node });
        }
        if !node.suits(spec) {
            return Err(Refusal::BoardsDoNotSuit { node: part.node });
        }
        let committed = self.committed.entry(part.node).or_default();
        let free = Bytes(node.capacity.memory.0.saturating_sub(committed.0));
        let needed = part.memory(spec);
        if needed > free {
            return Err(Refusal::NotEnoughMemory { node: part.node, free, needed });
        }
        committed.0 = committed.0.saturating_add(needed.0);
        Ok(())
    }
}

/// The parts follow each other from the first layer to the last, none of them empty.
fn check_layers(spec: &ModelSpec, parts: &[Part]) -> Result<(), Refusal> {
    if parts.len() > MAX_PARTS {
        return Err(Refusal::TooMany { what: Bounded::Parts, limit: MAX_PARTS as u64 });
    }
    let mut expected = 0;
    for part in parts {
        let range = part.layers;
        if range.first != expected || range.end <= range.first || range.end > spec.layers {
            return Err(Refusal::LayersNotCovered { layers: spec.layers, expected });
        }
        expected = range.end;
    }
    if expected == spec.layers {
        Ok(())
    } else {
        Err(Refusal::LayersNotCovered { layers: spec.layers, expected })
    }
}
