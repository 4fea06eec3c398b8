//! What an operator should change, as sentences that name the remedy.

use helixflow_policy::failover::{Advice, fragility};
use helixflow_policy::state::ClusterState;

use crate::raft::Standing;

/// Everything to warn of, by what this coordinator knows.
pub(super) fn warnings(state: &ClusterState, standing: &Standing, advice: Option<Advice>) -> Vec<String> {
    let regions = standing.voters.iter().filter_map(|id| state.coordinators().get(id));
    let fragile = fragility(regions.map(|coordinator| coordinator.region.clone()));
    let fragile = fragile.map(|fragile| fragile.to_string());
    fragile.into_iter().chain(advice.map(|advice| advice.to_string())).collect()
}
