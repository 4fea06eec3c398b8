//! The GPU agent: configuration, devices, weights, shards and their gRPC service.
//!
//! [`run`] joins what the other crates do: actors keep the node's life, the engine computes, text turns into tokens and
//! back. Coordinators say what to run; gateways ask for tokens.

mod config;
mod describe;
mod device;
mod error;
mod gauges;
mod grpc;
mod http;
mod identity;
mod run;
mod shard;
pub mod weights;

pub use config::{ConfigError, GrpcPort, HttpPort, NodeConfig};
pub use describe::{DescribeError, describe};
pub use device::Simulated;
pub use error::NodeError;
pub use identity::IdentityError;
pub use run::run;
