//! The invariants of the replicated state: [`check`] lists what must never be.
//!
//! It is written apart from `apply` on purpose: layers are counted one by one here and walked as ranges there, so
//! that one mistake does not excuse the other. Tests and simulations run it after every entry. It changes nothing
//! and repairs nothing.

mod coordinators;
mod members;
mod replicas;
mod tenants;
#[cfg(test)]
mod tests;
mod violation;

use crate::state::{
    ClusterState, MAX_COORDINATORS, MAX_KEYS, MAX_MODELS, MAX_NODES, MAX_REGIONS, MAX_REPLICAS, MAX_SESSIONS,
    MAX_TENANTS, ModelKey,
};

pub use violation::{Violation, Wrong};

/// Everything that is wrong with a state; empty for each state that `apply` can reach.
pub fn check(state: &ClusterState) -> Vec<Violation> {
    let mut found = Vec::new();
    check_whole(state, &mut found);
    coordinators::check(state, &mut found);
    members::check(state, &mut found);
    replicas::check(state, &mut found);
    tenants::check(state, &mut found);
    found
}

/// What concerns the state as a whole: its bounds, its epochs, its life, its models' keys.
fn check_whole(state: &ClusterState, found: &mut Vec<Violation>) {
    let held = [
        (state.coordinators.len(), MAX_COORDINATORS),
        (state.nodes.len(), MAX_NODES),
        (state.models.len(), MAX_MODELS),
        (state.replicas.len(), MAX_REPLICAS),
        (state.tenants.len(), MAX_TENANTS),
        (state.keys.len(), MAX_KEYS),
        (state.regions.len(), MAX_REGIONS),
        (state.sessions.len(), MAX_SESSIONS),
    ];
    for (held, limit) in held {
        if held > limit {
            found.push(Violation::Whole(Wrong::AboveBound { held, limit }));
        }
    }
    if state.identity.is_none() && held.iter().any(|(held, _)| *held > 0) {
        found.push(Violation::Whole(Wrong::NotBootstrapped));
    }
    if state.changed > state.epoch {
        found.push(Violation::Whole(Wrong::FromTheFuture { epoch: state.changed }));
    }
    for (key, spec) in &state.models {
        if *key != ModelKey::of(spec) {
            found.push(Violation::Model(key.clone()));
        }
    }
}
