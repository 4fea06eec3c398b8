//! Raft as a whole: openraft's own suite on the store, and small groups over the network in memory, what earlier versions wrote.

mod bare;
mod decoding;
mod group;
mod store;
mod version_1;
mod version_2;
mod version_3;
