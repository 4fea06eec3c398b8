//! The routing table of now, for whoever looks on: what a request would see, without being one.

use std::fmt;
use std::sync::Arc;

use helixflow_model::ReplicaId;
use helixflow_policy::routing::{Own, RoutingTable};

use super::current::Current;

/// A view of the table that requests are routed by. Clones share it.
#[derive(Clone)]
pub struct Routing(Arc<Current>);

impl Routing {
    pub(super) fn of(current: &Arc<Current>) -> Self {
        Self(Arc::clone(current))
    }

    /// Looks at the table as a request does, together with what this gateway has under way at each replica.
    pub fn look<T>(&self, look: impl FnOnce(&RoutingTable, &dyn Fn(ReplicaId) -> Own) -> T) -> T {
        let snapshot = self.0.load();
        look(&snapshot.table, &|replica| snapshot.own(replica))
    }
}

impl fmt::Debug for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routing").finish_non_exhaustive()
    }
}
