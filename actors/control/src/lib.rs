//! Pure decisions on one GPU node: what to run, how a shard lives, how often it may be restarted.
//!
//! Nothing here waits, sends, reads a clock or draws a number: time comes in as the duration since the process began,
//! randomness as a number. The actors carry out what is decided here. The thermal governor is left for later.

mod backoff;
mod lifecycle;
mod orders;
mod restart;

pub use backoff::Backoff;
pub use lifecycle::{Action, Cure, Event, Lifecycle, Stage};
pub use orders::{Accepted, Assignment, Change, Orders, Stale};
pub use restart::{Restart, RestartBudget, RestartPolicy};
