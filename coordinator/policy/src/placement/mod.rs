//! Where replicas go: [`plan`] compares what the log wants with what is there and lists the moves, each with its
//! reason.
//!
//! Each model keeps its `replicas` (0 keeps none) on live nodes with enough memory: at most one replica of a model
//! on a node, spread over regions first, then over the least loaded nodes. What runs well is never moved. A replica
//! is planned whole on one node; splits that the state already holds are kept. What does not fit is reported as a
//! [`Shortfall`]. Nodes' heat and bands do not count yet.

mod failures;
mod plan;
mod planner;
mod room;

pub use failures::{Failure, FailureLog};
pub use plan::{Missing, Observed, Plan, Shortfall};
pub use planner::plan;
