//! The planner: removes what is too much, then moves what does not serve and places what is missing.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use helixflow_model::{Fence, LayerRange, ModelSpec, NodeId, ReplicaId};

use super::{Missing, Observed, Plan, Shortfall, room::Room};
use crate::state::{
    ClusterState, MAX_MOVES, MAX_REPLICAS, ModelKey, Move, MoveReason, NodeHealth, Part, Replica,
};

/// Plans what brings the cluster to what the log wants; nothing, when it is there.
///
/// The same arguments give the same plan. Models come to their first replica before any comes to its second; among
/// equals the one that needs most memory goes first, since it is the hardest to fit.
pub fn plan(state: &ClusterState, observed: &Observed) -> Plan {
    let mut planner = Planner::of(state, observed);
    let mut demands: Vec<Demand<'_>> = planner.demands();
    for demand in &mut demands {
        planner.remove_surplus(demand);
    }
    planner.fill(&mut demands);
    let shortfalls = demands.iter().filter_map(|demand| planner.shortfall(demand)).collect();
    Plan { based_on: state.epoch(), moves: planner.moves, shortfalls }
}

/// What a model wants and has.
struct Demand<'a> {
    key: &'a ModelKey,
    spec: &'a ModelSpec,
    /// How many replicas serve, or will after the moves so far.
    serving: u32,
    /// Replicas that serve now.
    sound: BTreeMap<ReplicaId, &'a Replica>,
    /// Replicas on lost nodes, or failed, and why they are to move.
    unsound: BTreeMap<ReplicaId, (&'a Replica, MoveReason)>,
}

impl<'a> Demand<'a> {
    fn held(&self) -> usize {
        self.sound.len() + self.unsound.len()
    }

    fn target(&self) -> u32 {
        self.spec.replicas
    }

    /// Whom to serve next: the model with the fewest replicas, the largest first among equals.
    fn urgency(&self) -> (u32, Reverse<u64>, &'a ModelKey) {
        (self.serving, Reverse(self.spec.memory.0), self.key)
    }
}

struct Planner<'a> {
    state: &'a ClusterState,
    failed: BTreeMap<Fence, BTreeSet<NodeId>>,
    room: Room<'a>,
    moves: Vec<Move>,
    /// How many replicas there are after the moves so far.
    replicas: usize,
    /// Why the latest attempt for a model failed.
    stuck: BTreeMap<&'a ModelKey, Missing>,
}

impl<'a> Planner<'a> {
    fn of(state: &'a ClusterState, observed: &'a Observed) -> Self {
        let mut failed: BTreeMap<Fence, BTreeSet<NodeId>> = BTreeMap::new();
        for failure in &observed.failures {
            failed.entry(failure.fence).or_default().insert(failure.node);
        }
        Self {
            state,
            failed,
            room: Room::of(state, observed),
            moves: Vec::new(),
            replicas: state.replicas().len(),
            stuck: BTreeMap::new(),
        }
    }

    fn demands(&self) -> Vec<Demand<'a>> {
        let mut demands: BTreeMap<&ModelKey, Demand<'a>> = BTreeMap::new();
        for (key, spec) in self.state.models() {
            let none = Demand { key, spec, serving: 0, sound: BTreeMap::new(), unsound: BTreeMap::new() };
            demands.insert(key, none);
        }
        for (id, replica) in self.state.replicas() {
            let Some(demand) = demands.get_mut(&replica.model) else { continue };
            match self.trouble(*id, replica) {
                Some(reason) => {
                    demand.unsound.insert(*id, (replica, reason));
                }
                None => {
                    demand.serving += 1;
                    demand.sound.insert(*id, replica);
                }
            }
        }
        demands.into_values().collect()
    }

    /// Why a replica does not serve; `None` when nothing is known against it.
    fn trouble(&self, id: ReplicaId, replica: &Replica) -> Option<MoveReason> {
        let fence = Fence { replica: id, generation: replica.generation };
        let failed = self.failed.get(&fence);
        replica.parts.iter().find_map(|part| {
            let node = part.node;
            let lost = self.state.nodes().get(&node).is_none_or(|known| known.health == NodeHealth::Lost);
            if lost {
                Some(MoveReason::NodeLost { node })
            } else {
                failed
                    .is_some_and(|nodes| nodes.contains(&node))
                    .then_some(MoveReason::ReplicaFailed { node })
            }
        })
    }

    /// Ends replicas above the target: those that do not serve first, then the most crowded, then the newest.
    fn remove_surplus(&mut self, demand: &mut Demand<'a>) {
        while demand.held() > demand.target() as usize && self.moves.len() < MAX_MOVES {
            let unsound = demand.unsound.pop_last().map(|(id, (replica, _))| (id, replica));
            let Some((id, replica)) = unsound.or_else(|| self.take_most_crowded(demand)) else { return };
            self.room.release(id, replica);
            self.replicas = self.replicas.saturating_sub(1);
            let fence = Fence { replica: id, generation: replica.generation };
            let reason = MoveReason::AboveTarget { target: demand.target() };
            self.moves.push(Move::RemoveReplica { fence, reason });
        }
    }

    fn take_most_crowded(&self, demand: &mut Demand<'a>) -> Option<(ReplicaId, &'a Replica)> {
        let regions = self.room.filled_regions(demand.key);
        let most =
            demand.sound.iter().max_by_key(|(id, replica)| (self.room.crowding(&regions, replica), **id));
        let id = most.map(|(id, _)| *id)?;
        demand.serving = demand.serving.saturating_sub(1);
        demand.sound.remove_entry(&id)
    }

    /// Serves the most urgent demand again and again, until none can be served.
    fn fill(&mut self, demands: &mut [Demand<'a>]) {
        let mut open: BTreeMap<(u32, Reverse<u64>, &ModelKey), &mut Demand<'a>> =
            demands.iter_mut().map(|demand| (demand.urgency(), demand)).collect();
        let mut set_aside = Vec::new();
        while let Some((_, demand)) = open.pop_first() {
            if demand.serving >= demand.target() {
                continue;
            }
            match self.serve(demand) {
                Ok(Freed::Room) => {
                    // What did not fit before may fit now.
                    open.insert(demand.urgency(), demand);
                    open.extend(
                        set_aside.drain(..).map(|demand: &mut Demand<'a>| (demand.urgency(), demand)),
                    );
                }
                Ok(Freed::Nothing) => {
                    open.insert(demand.urgency(), demand);
                }
                Err(why) => {
                    self.stuck.insert(demand.key, why);
                    set_aside.push(demand);
                }
            }
        }
    }

    /// One more serving replica for a model: an unsound one is moved before a new one is placed.
    fn serve(&mut self, demand: &mut Demand<'a>) -> Result<Freed, Missing> {
        if self.moves.len() >= MAX_MOVES {
            return Err(Missing::Bound);
        }
        let freed = match demand.unsound.pop_first() {
            Some((id, (replica, reason))) => {
                self.relocate(demand, id, replica, reason).inspect_err(|_| {
                    demand.unsound.insert(id, (replica, reason));
                })?;
                Freed::Room
            }
            None => {
                self.place(demand)?;
                Freed::Nothing
            }
        };
        demand.serving += 1;
        Ok(freed)
    }

    fn relocate(
        &mut self,
        demand: &Demand<'a>,
        id: ReplicaId,
        replica: &'a Replica,
        reason: MoveReason,
    ) -> Result<(), Missing> {
        self.room.release(id, replica);
        let node = self.room.best(demand.key, demand.spec).inspect_err(|_| self.room.restore(id, replica))?;
        self.room.take(demand.key, demand.spec, node);
        let fence = Fence { replica: id, generation: replica.generation };
        self.moves.push(Move::MoveReplica { fence, parts: whole(demand.spec, node), reason });
        Ok(())
    }

    fn place(&mut self, demand: &Demand<'a>) -> Result<(), Missing> {
        if self.replicas >= MAX_REPLICAS {
            return Err(Missing::Bound);
        }
        let node = self.room.best(demand.key, demand.spec)?;
        self.room.take(demand.key, demand.spec, node);
        self.replicas += 1;
        let ModelKey { id: model, version } = demand.key.clone();
        let reason = MoveReason::BelowTarget { target: demand.target() };
        self.moves.push(Move::PlaceReplica { model, version, parts: whole(demand.spec, node), reason });
        Ok(())
    }

    fn shortfall(&self, demand: &Demand<'a>) -> Option<Shortfall> {
        let missing = demand.target().saturating_sub(demand.serving);
        let why = self.stuck.get(demand.key).copied().unwrap_or(Missing::Bound);
        (missing > 0).then(|| Shortfall { model: demand.key.clone(), wanted: demand.target(), missing, why })
    }
}

/// Whether serving a demand gave back room elsewhere.
enum Freed {
    /// A replica left another node.
    Room,
    /// Nothing.
    Nothing,
}

/// Every layer on one node.
fn whole(spec: &ModelSpec, node: NodeId) -> Vec<Part> {
    vec![Part { node, layers: LayerRange { first: 0, end: spec.layers } }]
}
