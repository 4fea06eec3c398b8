//! Where the leader should stand: to whom it hands its place, if to anybody.
//!
//! A place is handed only to a voter of a region that is strictly more preferred, so the rank of the leader's region
//! rises with each step and there is no way back: two regions never play ball. What a fault undoes is tried again after
//! a pause.

use std::{collections::BTreeMap, time::Duration};

use helixflow_model::CoordinatorId;

use crate::state::ClusterState;

/// A leader leads at least this long before it hands its place over, and waits as long before it tries again: an
/// election costs writes a second, and a region that comes and goes must not cost that more than twice a minute.
pub const HAND_OVER_PAUSE: Duration = Duration::from_secs(30);
/// Entries that a successor may lack: what a busy log appends within a round trip. It gets them before it takes over.
pub const LARGEST_LAG: u64 = 1_000;
/// A voter not heard of for this long may be down: several heartbeats at any times that regions are run with.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(2);

/// What the leader knows of one other voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoterView {
    /// Entries of the leader's log that it has not confirmed.
    pub lag: u64,
    /// How long ago it answered last; `None` when it never did.
    pub silent: Option<Duration>,
}

/// What the leader knows of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standings {
    /// The leader itself.
    pub leader: CoordinatorId,
    /// For how long it has led, or how long ago it last tried to hand its place over.
    pub settled: Duration,
    /// The other voters.
    pub voters: BTreeMap<CoordinatorId, VoterView>,
}

/// The voter that should lead instead, by the order of preference in the state; `None` when all is as it should be, or
/// when it is too early.
///
/// It stands in a strictly more preferred region, answers, and is caught up; of several such, the one in the most
/// preferred region with the least lag.
pub fn successor(state: &ClusterState, known: &Standings) -> Option<CoordinatorId> {
    if known.settled < HAND_OVER_PAUSE {
        return None;
    }
    let ours = rank(state, known.leader)?;
    let able = |(_, view): &(&CoordinatorId, &VoterView)| {
        view.lag <= LARGEST_LAG && view.silent.is_some_and(|silent| silent < LONGEST_SILENCE)
    };
    let ranked = |(id, view): (&CoordinatorId, &VoterView)| Some((rank(state, *id)?, view.lag, *id));
    let better = known.voters.iter().filter(able).filter_map(ranked).filter(|(rank, ..)| *rank < ours);
    better.min().map(|(.., id)| id)
}

/// The place of a coordinator's region in the order of preference; regions that are not named come last, all alike.
fn rank(state: &ClusterState, id: CoordinatorId) -> Option<usize> {
    let region = &state.coordinators().get(&id)?.region;
    let regions = state.leader_regions();
    Some(regions.iter().position(|preferred| preferred == region).unwrap_or(regions.len()))
}
