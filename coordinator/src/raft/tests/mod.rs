//! Raft as a whole: openraft's own suite on the store, and small groups over the network in memory.

mod group;
mod store;
