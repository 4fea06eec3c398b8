//! Where replicas go: [`plan`] compares what the log wants with what is there and lists the moves, each with its
//! reason.
//!
//! Each model keeps its `replicas` (0 keeps none) on live nodes with enough memory: at most one replica of a model
//! on a node, spread over regions first, then over the least loaded nodes. What runs well is never moved. A replica
//! is planned whole on one node; splits that the state already holds are kept. What does not fit is reported as a
//! [`Shortfall`]. Boards count as well: their kind, by what a model asks for; their heat, for no shard is put on hot ones;
//! and their duty, for those that drain are relieved.

mod demand;
mod failures;
mod plan;
mod planner;
mod relief;
mod room;

pub use failures::{Failure, FailureLog};
pub use plan::{Missing, Observed, Plan, Shortfall};
pub use planner::plan;
pub use relief::MAX_RELIEFS;
