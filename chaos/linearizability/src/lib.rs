//! Decides whether a history of reads and writes could have come from one register a key, each operation taking
//! effect at one moment between its invocation and its response: linearizability.
//!
//! Clients, of a simulation or of real processes, record [`Operation`]s; [`check`] accepts the whole history or gives the
//! [`Violation`] that proves it impossible. Linearizability is local, so every key is judged by itself (Herlihy and Wing,
//! "Linearizability: a correctness condition for concurrent objects", 1990, theorem 1).
//!
//! Every write of a key must write another value. Then each read names its write, and the question, NP-complete in
//! general, is decided exactly in n log n steps: no search, no bound, no "gave up". See [`check`] for the algorithm.
//!
//! Left out: objects other than registers, and values that are written twice.

mod check;
mod cluster;
mod violation;

pub use check::check;
pub use violation::{Moments, Violation};

/// One operation of one client, as the client saw it.
///
/// Times are numbers of any one clock that all clients of the history share, simulated or real. An operation precedes
/// another if it returned at an earlier time than the other was invoked; with equal times they count as concurrent, so a
/// clock that stands still between two operations hides their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<K, V> {
    /// Which register.
    pub key: K,
    /// What was done there.
    pub action: Action<V>,
    /// When it was sent.
    pub invoked: u64,
    /// When its answer came. `None` while nobody knows how it ended: such a write takes effect at any time after its
    /// invocation or never, such a read says nothing.
    pub returned: Option<u64>,
}

/// What an operation did.
///
/// Of operations that surely had no effect, such as a refused write, no history should tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<V> {
    /// Set the register to a value that no other operation writes to it.
    Write(V),
    /// Found this value; `None` where nothing was written yet.
    Read(Option<V>),
}
