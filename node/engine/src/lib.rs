//! Runs layers of a real language model: GGUF, kernels, KV pages, batching, sampling.
//!
//! Two halves meet at one small trait, [`compute::Compute`]. Above it: which rows run now, sampling and KV
//! accounting. Below it: how layers are computed. Nothing here knows text, gRPC or the cluster.

pub mod compute;
mod engine;
pub mod gguf;
mod kernels;
pub mod kv;
mod memory;
pub mod sampling;
pub mod schedule;

pub use engine::{Engine, EngineOptions, Pace, Progress, RequestHandle, Sink, StartError, SubmitError};
pub use kernels::{KernelSet, KernelsUnavailable, UnknownKernelSet};
