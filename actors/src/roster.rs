//! The replica parts of this node, as the gRPC service and the reports read them.
//!
//! One writer, the supervisor; readers borrow the latest roster and never wait for an actor.

use std::collections::BTreeMap;
use std::sync::Arc;

use helixflow_control::Assignment;
use helixflow_model::{LoadReport, NumericsClass, ReplicaId, ReplicaPhase, ReplicaReport};

use crate::host::{Notes, Replica};

/// All parts that this node holds or tries to hold.
pub type Roster<R> = BTreeMap<ReplicaId, Seat<R>>;

/// One replica part.
#[derive(Debug)]
pub struct Seat<R> {
    /// What it is to be.
    pub assignment: Arc<Assignment>,
    /// How far it has come.
    pub phase: ReplicaPhase,
    /// What it does or waits for, or why it failed.
    pub notes: Notes,
    /// What answers requests; there while the phase is ready or draining.
    pub replica: Option<Arc<R>>,
}

impl<R: Replica> Seat<R> {
    /// The seat as coordinators are told.
    pub fn report(&self) -> ReplicaReport {
        let replica = &self.assignment.replica;
        let running = self.replica.as_deref();
        ReplicaReport {
            fence: replica.fence,
            epoch: replica.epoch,
            model: replica.model.clone(),
            version: replica.version.clone(),
            phase: self.phase,
            detail: self.notes.latest(),
            numerics: running.map_or_else(|| NumericsClass(String::new()), Replica::numerics),
            load: running.map_or_else(LoadReport::default, Replica::load),
            boards: running.map_or_else(Vec::new, Replica::boards),
        }
    }
}
