//! Applies what concerns coordinators: who they are, which ids are used up, where the leader should stand.
//!
//! Who votes is decided by Raft's own membership; what stands here is for people, clients and the pure decisions.

use std::collections::BTreeSet;

use helixflow_model::{CoordinatorId, Epoch, Incarnation, Region};

use super::{
    ClusterState, Coordinator, MAX_COORDINATORS, MAX_LEADER_REGIONS, Outcome, Refusal, Voting,
    members::{check_address, check_room},
    outcome::{Bounded, Field},
};

impl ClusterState {
    /// The same state at the beginning of a new life of the cluster: this coordinator is the only one, and the log goes on
    /// after `index`. Everything else, ids used up among it, is as it was.
    #[must_use]
    pub fn reborn(
        mut self,
        incarnation: Incarnation,
        id: CoordinatorId,
        coordinator: Coordinator,
        index: u64,
    ) -> Self {
        if let Some(identity) = &mut self.identity {
            identity.incarnation = incarnation;
        }
        self.coordinators = [(id, coordinator)].into();
        self.observers.clear();
        self.last_coordinator = self.last_coordinator.max(id.0);
        self.epoch = self.epoch.max(Epoch(index));
        self.note_change();
        self
    }

    pub(super) fn register_coordinator(
        &mut self,
        id: CoordinatorId,
        coordinator: Coordinator,
    ) -> Result<Outcome, Refusal> {
        let changed = self.take_over(id, coordinator)?;
        Ok(self.outcome(changed))
    }

    pub(super) fn admit_coordinator(
        &mut self,
        id: CoordinatorId,
        coordinator: Coordinator,
        voting: Voting,
    ) -> Result<Outcome, Refusal> {
        let changed = self.take_over(id, coordinator)?;
        let set = match voting {
            Voting::Observer => self.observers.insert(id),
            Voting::Voter => self.observers.remove(&id),
        };
        Ok(self.outcome(changed || set))
    }

    pub(super) fn remove_coordinator(&mut self, id: CoordinatorId) -> Result<Outcome, Refusal> {
        self.observers.remove(&id);
        let removed = self.coordinators.remove(&id).is_some();
        Ok(self.outcome(removed))
    }

    pub(super) fn set_leader_regions(&mut self, regions: Vec<Region>) -> Result<Outcome, Refusal> {
        let each_once = regions.iter().collect::<BTreeSet<_>>().len() == regions.len();
        if regions.len() > MAX_LEADER_REGIONS || !each_once {
            return Err(Refusal::InvalidField { field: Field::LeaderRegions });
        }
        let changed = self.leader_regions != regions;
        self.leader_regions = regions;
        Ok(self.outcome(changed))
    }

    /// Sets a coordinator's record, of a new one only under an id above all that were ever used; tells whether anything
    /// changed.
    fn take_over(&mut self, id: CoordinatorId, coordinator: Coordinator) -> Result<bool, Refusal> {
        check_address(&coordinator.grpc)?;
        check_address(&coordinator.raft)?;
        match self.coordinators.get(&id) {
            Some(known) if *known == coordinator => return Ok(false),
            Some(_) => {}
            None if id.0 <= self.last_coordinator => {
                return Err(Refusal::IdUsed { id, next: self.next_coordinator() });
            }
            None => check_room(self.coordinators.len(), MAX_COORDINATORS, Bounded::Coordinators)?,
        }
        self.last_coordinator = self.last_coordinator.max(id.0);
        self.coordinators.insert(id, coordinator);
        Ok(true)
    }

    fn outcome(&mut self, changed: bool) -> Outcome {
        if !changed {
            return Outcome::Unchanged;
        }
        self.note_change();
        Outcome::Applied
    }
}
