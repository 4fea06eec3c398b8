//! The GPU agent: configuration, devices, weights, shards and their gRPC service.

pub mod weights;
