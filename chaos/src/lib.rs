//! Chaos experiments: faults put into a local cluster while requests run, and the promises that must hold through them.
//!
//! ```text
//! experiments   what to do, in which order, and what is promised: plans, which are data
//!      └─ run         carries a plan out: load, faults, observation; writes a history
//!           ├─ load        closed-loop clients with prompts that repeat
//!           ├─ faults      what is done to the cluster
//!           └─ target      the cluster: its record, its processes, what its coordinators say
//! history       what happened, as data
//! invariants    each promise, a pure function from plan and history to what breaks it
//! report        plan and history as a table and as JSON
//! ```
//!
//! An experiment touches only processes of the cluster whose data directory it is pointed at, on this machine. It has no
//! way to name a remote endpoint.

mod error;
pub mod experiments;
pub mod faults;
pub mod heat;
pub mod history;
pub mod invariants;
pub mod load;
mod report;
mod run;
pub mod target;

pub use error::ChaosError;
pub use report::Report;
pub use run::{Progress, run};
