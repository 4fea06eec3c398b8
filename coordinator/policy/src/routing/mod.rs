//! Who answers a request: an immutable table, built from the log and the nodes' reports, and a pure pick from it.
//!
//! The gateway builds a [`RoutingTable`] whenever either changes, and at least once a second so that ages grow, puts
//! it behind an atomic swap, and calls [`pick`] for each request: no lock, no allocation, no clock. What the gateway
//! itself has at a replica counts beside the report, so that a burst between two reports spreads. Heat, prefix
//! affinity and residency will weigh in here too.

mod candidate;
mod no_replica;
mod pick;
mod table;
mod wait;

pub use candidate::Candidate;
pub use no_replica::NoReplica;
pub use pick::{Pick, PickContext, pick};
pub use table::{Heard, RoutingTable, Served};
