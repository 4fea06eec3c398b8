//! The planner: removes what is too much, then moves what does not serve, places what is missing, and relieves boards.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use helixflow_model::{Duty, Fence, LayerRange, ModelSpec, NodeId, ReplicaId};

use super::{
    Missing, Observed, Plan, Shortfall,
    demand::{Demand, Leaving},
    room::Room,
};
use crate::state::{ClusterState, MAX_MOVES, ModelKey, Move, MoveReason, NodeHealth, Part, Replica};

/// Plans what brings the cluster to what the log wants; nothing, when it is there.
///
/// The same arguments give the same plan. Models come to their first replica before any comes to its second; among
/// equals the one that needs most memory goes first, since it is the hardest to fit.
pub fn plan(state: &ClusterState, observed: &Observed) -> Plan {
    let mut planner = Planner::of(state, observed);
    let mut demands: Vec<Demand<'_>> = planner.demands();
    for demand in &mut demands {
        planner.remove_relieved(demand);
        planner.remove_surplus(demand);
    }
    planner.fill(&mut demands);
    while let Freed::Room = planner.relieve(&mut demands) {
        // What did not fit before may fit now.
        planner.fill(&mut demands);
    }
    let shortfalls = demands.iter().filter_map(|demand| planner.shortfall(demand)).collect();
    Plan { based_on: state.epoch(), moves: planner.moves, shortfalls }
}

pub(super) struct Planner<'a> {
    state: &'a ClusterState,
    failed: BTreeMap<Fence, BTreeSet<NodeId>>,
    ready: &'a BTreeSet<(Fence, NodeId)>,
    /// Whether boards may be relieved at all: every member has to read such moves.
    relieves: bool,
    pub(super) room: Room<'a>,
    pub(super) moves: Vec<Move>,
    /// How many replicas there are after the moves so far.
    pub(super) replicas: usize,
    /// Why the latest attempt for a model failed.
    pub(super) stuck: BTreeMap<&'a ModelKey, Missing>,
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
            ready: &observed.ready,
            relieves: state.records_heat(),
            room: Room::of(state, observed),
            moves: Vec::new(),
            replicas: state.replicas().len(),
            stuck: BTreeMap::new(),
        }
    }

    fn demands(&self) -> Vec<Demand<'a>> {
        let mut demands: BTreeMap<&ModelKey, Demand<'a>> = BTreeMap::new();
        for (key, spec) in self.state.models() {
            demands.insert(key, Demand::of(key, spec));
        }
        for (id, replica) in self.state.replicas() {
            let Some(demand) = demands.get_mut(&replica.model) else { continue };
            if let Some(reason) = self.trouble(*id, replica) {
                demand.unsound.insert(*id, (replica, reason));
                continue;
            }
            demand.serving += 1;
            match self.leaving(replica) {
                Some(leaving) => {
                    demand.leaving.insert(*id, leaving);
                }
                None => {
                    demand.sound.insert(*id, replica);
                }
            }
        }
        demands.into_values().collect()
    }

    /// A replica that is to leave its boards, with the worst of them.
    fn leaving(&self, replica: &'a Replica) -> Option<Leaving<'a>> {
        if !self.relieves {
            return None;
        }
        let on = |part: &Part| Some((self.state.nodes().get(&part.node)?.heat.heat.duty, part.node));
        let worst: Option<(Duty, NodeId)> = replica.parts.iter().filter_map(on).max();
        let (duty, node) = worst.filter(|(duty, _)| !duty.keeps_shards())?;
        Some(Leaving { replica, node, duty })
    }

    /// Whether every part of a replica answers.
    pub(super) fn is_ready(&self, id: ReplicaId, replica: &Replica) -> bool {
        let fence = Fence { replica: id, generation: replica.generation };
        replica.parts.iter().all(|part| self.ready.contains(&(fence, part.node)))
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

    /// Ends replicas above the target: those that do not serve first, then those that do not answer yet, then the most
    /// crowded, then the newest.
    fn remove_surplus(&mut self, demand: &mut Demand<'a>) {
        while demand.staying() > demand.target() as usize && self.moves.len() < MAX_MOVES {
            let unsound = demand.unsound.pop_last().map(|(id, (replica, _))| (id, replica));
            let Some((id, replica)) = unsound.or_else(|| self.take_most_spare(demand)) else { return };
            self.room.release(id, replica);
            self.replicas = self.replicas.saturating_sub(1);
            let fence = Fence { replica: id, generation: replica.generation };
            let reason = MoveReason::AboveTarget { target: demand.target() };
            self.moves.push(Move::RemoveReplica { fence, reason });
        }
    }

    fn take_most_spare(&self, demand: &mut Demand<'a>) -> Option<(ReplicaId, &'a Replica)> {
        let regions = self.room.filled_regions(demand.key);
        let spare = |(id, replica): &(&ReplicaId, &&'a Replica)| {
            (!self.is_ready(**id, replica), self.room.crowding(&regions, replica), **id)
        };
        let id = demand.sound.iter().max_by_key(spare).map(|(id, _)| *id)?;
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
            match self.serve(demand, MoveReason::BelowTarget { target: demand.target() }) {
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

    /// One more serving replica for a model: an unsound one is moved before a new one is placed, for this reason.
    pub(super) fn serve(&mut self, demand: &mut Demand<'a>, reason: MoveReason) -> Result<Freed, Missing> {
        if self.moves.len() >= MAX_MOVES {
            return Err(Missing::Bound);
        }
        let freed = match demand.unsound.pop_first() {
            Some((id, (replica, trouble))) => {
                self.relocate(demand, id, replica, trouble).inspect_err(|_| {
                    demand.unsound.insert(id, (replica, trouble));
                })?;
                Freed::Room
            }
            None => {
                self.place(demand, reason)?;
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

    fn place(&mut self, demand: &Demand<'a>, reason: MoveReason) -> Result<(), Missing> {
        if self.replicas >= self.state.most_replicas() {
            return Err(Missing::Bound);
        }
        let node = self.room.best(demand.key, demand.spec)?;
        self.room.take(demand.key, demand.spec, node);
        self.replicas += 1;
        let ModelKey { id: model, version } = demand.key.clone();
        self.moves.push(Move::PlaceReplica { model, version, parts: whole(demand.spec, node), reason });
        Ok(())
    }

    fn shortfall(&self, demand: &Demand<'a>) -> Option<Shortfall> {
        let missing = demand.missing();
        let why = self.stuck.get(demand.key).cloned().unwrap_or(Missing::Bound);
        (missing > 0).then(|| Shortfall { model: demand.key.clone(), wanted: demand.target(), missing, why })
    }
}

/// Whether serving a demand gave back room elsewhere.
pub(super) enum Freed {
    /// A replica left another node.
    Room,
    /// Nothing.
    Nothing,
}

/// Every layer on one node.
fn whole(spec: &ModelSpec, node: NodeId) -> Vec<Part> {
    vec![Part { node, layers: LayerRange { first: 0, end: spec.layers } }]
}
