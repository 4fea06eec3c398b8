//! Invariants of coordinators: ids that were given, observers that are known.

use super::{Violation, Wrong};
use crate::state::ClusterState;

pub(super) fn check(state: &ClusterState, found: &mut Vec<Violation>) {
    for id in state.coordinators.keys() {
        if id.0 == 0 || id.0 > state.last_coordinator {
            let last = state.last_coordinator;
            found.push(Violation::Coordinator(*id, Wrong::NeverAllotted { last }));
        }
    }
    for id in &state.observers {
        if !state.coordinators.contains_key(id) {
            found.push(Violation::Coordinator(*id, Wrong::NotRegistered));
        }
    }
}
