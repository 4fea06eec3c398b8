//! A node's actors against a coordinator in memory and a host whose parts do as they are told.
//!
//! Time is tokio's own and stands still while anybody has work: pauses of minutes cost nothing, and nothing is timed.

#![cfg(test)]

mod board;
mod boards;
mod clocks;
mod coordinator;
mod coordinators;
mod host;
mod ledger;
mod lives;
mod restart;
mod shutdown;
mod tree;
