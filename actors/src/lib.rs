//! Life on one GPU node: ractor shells around the decisions of `helixflow-control`.
//!
//! ```text
//! supervisor      obeys orders, keeps each replica part's life, restarts what fails
//! ├─ board        reads one board, holds its clock
//! ├─ telemetry    makes a report of readings and seats; the latest wins
//! ├─ link         keeps one coordinator's report stream open
//! ├─ membership   joins, and brings orders from whichever coordinator answers
//! └─ shard        fetches, loads, checks and drains one replica part
//! ```
//!
//! State that others read goes by latest value ([`tokio::sync::watch`]): readings, seats and reports are never queued.
//! Inference itself passes through no mailbox. How weights are fetched and computed is the [`Host`]'s part, what a
//! device is the [`Board`]'s. What each actor does can be read at any time from the [`ActorTree`].

mod board;
mod channel;
mod coordinators;
mod host;
mod identity;
mod ledger;
mod link;
mod mailbox;
mod membership;
mod node;
mod orders;
mod reports;
mod roster;
mod shard;
mod supervisor;
mod telemetry;
mod tree;

pub use board::{Barred, Board, BoardError, BoardWatch, ClockError};
pub use channel::BadAddress;
pub use host::{Fault, Host, Notes, Replica};
pub use identity::NodeIdentity;
pub use ledger::LedgerError;
pub use node::{NodeActors, NodePlan, StartError};
pub use reports::Reports;
pub use roster::{Roster, Seat};
pub use tree::{ActorKind, ActorReport, ActorState, ActorTree, Restarts};
