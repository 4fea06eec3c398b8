//! Boards that are to be relieved: their replicas go elsewhere, without a gap.
//!
//! A replica on boards that drain still serves. So another one is placed first, where there is room on boards that are
//! well, and the old one ends once the other is ready; where nothing better exists it stays. Few go at a time, for each
//! loads gigabytes. Nothing ever moves back by itself, so boards that recover cause no second move.

use std::cmp::Reverse;

use helixflow_model::{Fence, ReplicaId};

use super::{
    demand::Demand,
    planner::{Freed, Planner},
};
use crate::state::{MAX_MOVES, Move, MoveReason, Replica};

/// Substitutes under way at a time in the whole cluster: a row of machines that overheats is relieved within minutes, and
/// those beside it are not heated by loading all of its models at once.
pub const MAX_RELIEFS: usize = 16;

impl<'a> Planner<'a> {
    /// Ends replicas on boards that are to be relieved, as far as enough others are ready; those that are not ready
    /// themselves first, for nobody misses them.
    pub(super) fn remove_relieved(&mut self, demand: &mut Demand<'a>) {
        if demand.leaving.is_empty() {
            return;
        }
        let is_ready = |id: &ReplicaId, replica: &Replica| self.is_ready(*id, replica);
        let mut leaving = demand.by_urgency();
        leaving.sort_by_key(|(id, leaving)| is_ready(id, leaving.replica));
        let staying = demand.sound.iter().filter(|(id, replica)| is_ready(id, replica)).count();
        let mut answering = staying + leaving.iter().filter(|(id, it)| is_ready(id, it.replica)).count();
        for (id, leaving) in leaving {
            answering -= usize::from(self.is_ready(id, leaving.replica));
            if answering < demand.target() as usize || self.moves.len() >= MAX_MOVES {
                return;
            }
            demand.leaving.remove(&id);
            demand.serving = demand.serving.saturating_sub(1);
            self.room.release(id, leaving.replica);
            self.replicas = self.replicas.saturating_sub(1);
            let fence = Fence { replica: id, generation: leaving.replica.generation };
            self.moves
                .push(Move::RemoveReplica { fence, reason: MoveReason::BoardsDrain { node: leaving.node } });
        }
    }

    /// Gives substitutes to replicas that leave, on boards that get nothing any more first: one that was lost or failed is
    /// moved, else one is placed.
    pub(super) fn relieve(&mut self, demands: &mut [Demand<'a>]) -> Freed {
        let mut freed = Freed::Nothing;
        let mut under_way: usize = demands.iter().map(Demand::substitutes).sum();
        let mut open: Vec<_> = demands.iter_mut().filter(|demand| !demand.leaving.is_empty()).collect();
        let worst = |demand: &Demand<'_>| demand.leaving.values().map(|leaving| leaving.duty).max();
        open.sort_by_key(|demand| (Reverse(worst(demand)), demand.urgency()));
        for demand in open {
            for (_, leaving) in demand.by_urgency().into_iter().skip(demand.substitutes()) {
                if under_way >= MAX_RELIEFS || self.moves.len() >= MAX_MOVES {
                    return freed;
                }
                match self.serve(demand, MoveReason::BoardsDrain { node: leaving.node }) {
                    Ok(Freed::Room) => freed = Freed::Room,
                    Ok(Freed::Nothing) => {}
                    Err(why) => {
                        self.stuck.insert(demand.key, why);
                        break;
                    }
                }
                under_way += 1;
            }
        }
        freed
    }
}
