//! Regions' health: the record, and how it is set.
//!
//! A region needs no record to be there: coordinators and nodes say where they stand. One is made when somebody first
//! judges it.

use helixflow_model::{Epoch, Region};
use serde::{Deserialize, Serialize};

use super::{ClusterState, MAX_REGIONS, Outcome, Refusal, members::check_room, outcome::Bounded};

/// Whether a region counts as there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RegionHealth {
    /// It answers.
    #[default]
    Live,
    /// Its lease ran out.
    Lost,
}

/// A region's health. The default is that of a region which nobody judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRecord {
    /// Whether it counts as there.
    pub health: RegionHealth,
    /// The log index that said so; 0 where none did.
    pub since: Epoch,
}

impl ClusterState {
    pub(super) fn set_region_health(
        &mut self,
        region: Region,
        health: RegionHealth,
        expected: Epoch,
    ) -> Result<Outcome, Refusal> {
        if !self.has_members_in(&region) {
            return Err(Refusal::UnknownRegion { region });
        }
        let known = self.region(&region);
        if known.since != expected {
            return Err(Refusal::RegionHealthChanged { region, since: known.since });
        }
        if known.health == health {
            return Ok(Outcome::Unchanged);
        }
        if !self.regions.contains_key(&region) {
            check_room(self.regions.len(), MAX_REGIONS, Bounded::Regions)?;
        }
        let since = self.note_change();
        self.regions.insert(region, RegionRecord { health, since });
        Ok(Outcome::Applied)
    }

    fn has_members_in(&self, region: &Region) -> bool {
        self.coordinators.values().any(|coordinator| coordinator.region == *region)
            || self.nodes.values().any(|node| node.region == *region)
    }
}
