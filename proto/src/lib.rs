//! The contract between processes: generated messages, conversions to the words of `helixflow-model`, and what goes
//! with every call: [`hello`] (is this one of us?) and [`context`] (on whose behalf?).

pub mod context;
pub mod convert;
pub mod error;
pub mod hello;

/// Messages and services of `helixflow.v1`, generated from the .proto files.
#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("helixflow.v1");
}

/// Messages and service of the Open Inference Protocol, generated from its .proto file.
#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::disallowed_types,
    reason = "generated code"
)]
pub mod inference {
    tonic::include_proto!("inference");
}

/// The compiled .proto files, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
