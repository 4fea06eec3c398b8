//! Raft as a whole: openraft's own suite on the store, and small groups over the network in memory, what version 1 wrote.

mod bare;
mod decoding;
mod group;
mod store;
mod version_1;
