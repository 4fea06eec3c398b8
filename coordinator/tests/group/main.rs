//! Three coordinators in one process over loopback: bootstrap, writes at any of them, the loss of the leader, restarts,
//! strangers, damaged stores.
#![expect(clippy::expect_used, clippy::panic, reason = "a test stops at the first thing that fails")]

mod bootstrap;
mod cluster;
mod elections;
mod full_disk;
mod members;
mod new_life;
mod nodes;
mod refusals;
mod regions;
mod sessions;
mod tenants;
mod writes;
