//! Runs layers of a real language model: GGUF, kernels, KV pages, batching, sampling.
//!
//! Two halves meet at one small trait, [`compute::Compute`]. Above it: which rows run now, sampling and KV
//! accounting. Below it: how layers are computed. Nothing here knows text, gRPC or the cluster.

pub mod compute;
