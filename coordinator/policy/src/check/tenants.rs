//! Invariants of tenants, their keys, regions and sessions: bounds, epochs, no key of nobody, no secret twice.

use std::collections::BTreeMap;

use helixflow_model::{Epoch, KeyId};

use super::{Violation, Wrong};
use crate::state::{ClusterState, KeyDigest, MAX_DISPLAY_NAME_BYTES, Session, Tenant};

pub(super) fn check(state: &ClusterState, found: &mut Vec<Violation>) {
    for (id, tenant) in state.tenants.iter() {
        found.extend(broken(state, tenant).map(|wrong| Violation::Tenant(id.clone(), wrong)));
    }
    let mut secrets: BTreeMap<KeyDigest, &KeyId> = BTreeMap::new();
    for (id, key) in state.keys.iter() {
        let mut wrong = |wrong| found.push(Violation::Key(id.clone(), wrong));
        if !state.tenants.contains_key(&key.tenant) {
            wrong(Wrong::UnknownTenant { tenant: key.tenant.clone() });
        }
        if let Some(other) = secrets.insert(key.digest, id) {
            wrong(Wrong::SecretTwice { other: other.clone() });
        }
    }
    for (region, record) in &state.regions {
        found.extend(future(state, record.since).map(|wrong| Violation::Region(region.clone(), wrong)));
    }
    for (id, session) in state.sessions.iter() {
        let later = (session.used > state.clock).then_some(Wrong::UsedLater);
        let wrong = future(state, Session::opened(*id)).or(later);
        found.extend(wrong.map(|wrong| Violation::Session(*id, wrong)));
    }
}

fn broken(state: &ClusterState, tenant: &Tenant) -> Option<Wrong> {
    let bytes = tenant.display_name.len();
    let long = (bytes > MAX_DISPLAY_NAME_BYTES).then_some(Wrong::LongName { bytes });
    long.or_else(|| future(state, tenant.revision))
}

fn future(state: &ClusterState, epoch: Epoch) -> Option<Wrong> {
    (epoch > state.epoch || epoch == Epoch(0)).then_some(Wrong::FromTheFuture { epoch })
}
