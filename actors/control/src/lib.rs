//! Pure decisions on one GPU node: what to run, how a shard lives, how often it may be restarted, and all about its heat.
//!
//! [`BoardControl`] judges one GPU board: whether its sensors can be trusted, how hot it counts, which clock the thermal
//! governor gives it, what it may be asked to do. [`LoadEstimate`] smooths the load of a replica.
//!
//! Nothing here waits, sends, reads a clock or draws a number: time comes in as the duration since the process began,
//! randomness as a number. The actors carry out what is decided here.

mod backoff;
mod board;
mod dwell;
mod faults;
mod lifecycle;
mod load;
mod orders;
mod restart;
mod thermal;

pub use backoff::Backoff;
pub use board::{BoardControl, Driver, HeldBy, Judged, PAUSE_AT_WORK, READING_DEADLINE};
pub use faults::{Consequence, Xid, xid};
pub use lifecycle::{Action, Cure, Event, Lifecycle, Stage};
pub use load::LoadEstimate;
pub use orders::{Accepted, Assignment, Change, Orders, Stale};
pub use restart::{Restart, RestartBudget, RestartPolicy};
pub use thermal::ClockOrder;
