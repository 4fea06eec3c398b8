//! A whole node in one process: a coordinator in memory orders a small made-up model, and gateways ask for tokens.
//!
//! Network and disk are in memory; the model's file, the engine and its threads are real.

#![cfg(test)]

mod boards;
mod continuation;
mod coordinator;
mod model;
mod refusals;
mod running;
mod streams;
mod world;
