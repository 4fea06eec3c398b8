//! What an operator should change, as sentences that name the remedy.

use std::time::Duration;

use helixflow_policy::failover::{Advice, fragility};
use helixflow_policy::state::ClusterState;

use crate::raft::Standing;

/// A majority that was not heard of for so long is missing: many times what an election takes.
const MISSING_AFTER: Duration = Duration::from_secs(5);

/// Everything to warn of, by what this coordinator knows.
pub(super) fn warnings(state: &ClusterState, standing: &Standing, advice: Option<Advice>) -> Vec<String> {
    let regions = standing.voters.iter().filter_map(|id| state.coordinators().get(id));
    let fragile = fragility(regions.map(|coordinator| coordinator.region.clone()));
    let fragile = fragile.map(|fragile| fragile.to_string());
    let advice = advice.map(|advice| advice.to_string());
    [majority(standing), even(standing), fragile, advice].into_iter().flatten().collect()
}

/// Whether there is a group, and whether it can write.
fn majority(standing: &Standing) -> Option<String> {
    if standing.misdirected.is_some() {
        return standing.misdirected.clone();
    }
    if standing.members.is_empty() {
        return Some(
            "this coordinator belongs to no cluster yet: make one with helixflow cluster bootstrap, or add it to one with \
             helixflow coordinator add"
                .to_owned(),
        );
    }
    let (needed, voters) = (standing.voters.len() / 2 + 1, standing.voters.len());
    let since = match standing.quorum_age {
        Some(age) if age < MISSING_AFTER => return None,
        Some(age) => format!("for {} s", age.as_secs()),
        None => "since it started".to_owned(),
    };
    Some(format!(
        "this coordinator has heard of no majority ({needed} of {voters} voters) {since}, so nothing can be written: start \
         those that are missing; helixflow coordinator recover is for when they are lost for good"
    ))
}

fn even(standing: &Standing) -> Option<String> {
    let voters = standing.voters.len();
    let survives = (voters / 2).saturating_sub(1);
    (voters > 0 && voters.is_multiple_of(2)).then(|| {
        format!(
            "{voters} voters survive the loss of {survives}, no more than {} do: add one, or remove one",
            voters - 1
        )
    })
}
