//! Who answers a request: an immutable table, built from the log and the nodes' reports, and a pure pick from it.
//!
//! ```text
//! table       joins log and reports, and puts the candidates in order: by rank, then by region
//! standing      how one replica stands towards requests
//! heat          what its boards add: a price for heat to come, a rank, a speed
//! curve         how much slower a batch gets with each sequence more, fitted over all replicas of a version
//! expect        how long a request would take, from all of these and the age of each
//! pick        draws a few of the best rank and takes the best
//! pool          candidates to draw from, in constant time
//! ```
//!
//! The gateway builds a [`RoutingTable`] whenever log or reports change, and at least once a second so that ages grow,
//! puts it behind an atomic swap, and calls [`pick`] for each request: no lock, no allocation, no clock. What the gateway
//! itself has at a replica counts beside the report, so that a burst between two reports spreads.
//!
//! # Heat, counted once
//! What heat has cost already and what it is about to cost are different things, and each is told by one figure alone. A
//! clock that is down shows in the speed that was measured, and in the speed that the board expects to hold; the first
//! lags and an idle replica has none, so the slower of the two counts, never their product. More work makes a board
//! hotter still, and slows all the sequences on it: that shows in neither speed, and is the price of the degrees that are
//! left. It grows smoothly from where they get few, so load shifts before any clock falls.
//!
//! # Age
//! No figure is dropped for being old: it drifts towards the mean of all replicas. So late telemetry costs a replica its
//! advantage and then some, and when all are late they are equal again and served as ever. Prefix affinity and residency
//! will weigh in here too.

mod candidate;
mod curve;
mod expect;
mod heat;
mod no_replica;
mod pick;
mod pool;
mod standing;
mod table;

pub use candidate::{Candidate, Own, Rank};
pub use heat::Thermal;
pub use no_replica::NoReplica;
pub use pick::{Pick, PickContext, pick};
pub use table::{Heard, RoutingTable, Served};
