//! Who hears which nodes, who speaks for a region, and who judges whom.
//!
//! A node reports to the coordinators of its region, for they are near and serve near clients. One of them, the region's
//! reporter, tells the other regions what it heard, and it alone judges the region's nodes: whoever hears a node at
//! second hand hears the silence of the way too. It is the lowest that lives: each shows the higher ones that it does,
//! and takes the place once no lower one has been heard for a lease. Two hold it after a cut between them. They may hear
//! different nodes then; the state refuses what was judged twice, and a verdict is overruled ever more rarely.
//!
//! In a cluster of one region nobody needs digests, and the leader judges: it hears all nodes, and what it proposes has
//! the shortest way. A region whose reporter is silent is judged by nobody: that is the failure of a region.

use std::{collections::BTreeMap, time::Duration};

use helixflow_model::{CoordinatorId, Region};

use crate::state::{ClusterState, Coordinator};

/// A sign of life, or a digest, comes so often.
pub const DIGEST_EVERY: Duration = Duration::from_secs(1);
/// A coordinator that has shown no sign of life for so long is passed over: three signs missed. Well below a node's
/// lease, so that digests go on before anybody takes a node for silent.
pub const REPORTER_LEASE: Duration = Duration::from_secs(3);

/// The coordinators that a node of this region reports to: those of the region, or all where it has none. All too while
/// one of them takes no digests in.
pub fn listeners<'a>(state: &'a ClusterState, region: &Region) -> Vec<&'a Coordinator> {
    let near = |coordinator: &&Coordinator| coordinator.region == *region;
    let all = state.coordinators().values();
    let near: Vec<&Coordinator> = all.clone().filter(near).collect();
    if near.is_empty() || !state.has_digests() { all.collect() } else { near }
}

/// Whether digests pass between regions at all.
pub fn spans_regions(state: &ClusterState) -> bool {
    let mut regions = state.coordinators().values().map(|coordinator| &coordinator.region);
    let first = regions.next();
    state.has_digests() && regions.any(|region| Some(region) != first)
}

/// Whom a coordinator hears of its own region, and for how long it listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// For how long it has listened without a pause; what it did not hear before does not count.
    pub listening: Duration,
    /// How long ago the others showed a sign of life.
    pub silent: BTreeMap<CoordinatorId, Duration>,
}

/// Whether coordinator `us` speaks for its region: no lower one of the region lives, as far as it hears. One that the
/// state does not know speaks for nobody.
pub fn is_reporter(state: &ClusterState, us: CoordinatorId, signs: &Signs) -> bool {
    let Some(ours) = state.coordinators().get(&us) else { return false };
    let silence = |id| signs.silent.get(&id).copied().unwrap_or(signs.listening).min(signs.listening);
    let mut lower = state.coordinators().range(..us).filter(|(_, known)| known.region == ours.region);
    lower.all(|(id, _)| silence(*id) >= REPORTER_LEASE)
}

/// Whose nodes one coordinator judges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wards<'a> {
    /// Everybody's.
    all: bool,
    /// Those of the region that it speaks for.
    own: Option<&'a Region>,
    /// Those of regions without a coordinator, which report to all; by the regions that have one.
    other_than: Option<&'a ClusterState>,
}

impl<'a> Wards<'a> {
    /// Of coordinator `us`, which leads or not, and speaks for its region or not.
    pub fn of(state: &'a ClusterState, us: CoordinatorId, leads: bool, reports: bool) -> Self {
        if !spans_regions(state) {
            return Self { all: leads, ..Self::default() };
        }
        let ours = state.coordinators().get(&us).map(|known| &known.region);
        Self { all: false, own: ours.filter(|_| reports), other_than: leads.then_some(state) }
    }

    /// Whether they are anybody's at all.
    pub fn is_empty(&self) -> bool {
        !self.all && self.own.is_none() && self.other_than.is_none()
    }

    /// Whether nodes of a region are among them.
    pub fn include(&self, region: &Region) -> bool {
        let orphaned = |state: &ClusterState| state.coordinators().values().all(|c| c.region != *region);
        self.all || self.own == Some(region) || self.other_than.is_some_and(orphaned)
    }
}
