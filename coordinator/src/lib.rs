//! The cluster's brain: Raft, the leader's reconcile loop, soft state of the nodes, and the services over them.
//!
//! [`run`] is the daemon. [`raft`] holds the replicated state, `telemetry` what nodes report, `reconcile` turns both
//! into proposals, `cluster` answers operators and nodes, `neighbours` minds this
//! coordinator's own place in the group; [`Offline`] is for data directories whose coordinator is stopped.

mod cluster;
pub mod config;
mod coordinator;
mod error;
mod gateway;
mod http;
mod neighbours;
mod offline;
mod ports;
pub mod raft;
mod reconcile;
mod telemetry;

pub use config::CoordinatorConfig;
pub use coordinator::{Coordinator, run};
pub use error::CoordinatorError;
pub use gateway::Routing;
pub use offline::Offline;
pub use ports::Addresses;
