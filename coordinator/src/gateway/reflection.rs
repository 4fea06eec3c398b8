//! Reflection, v1 and v1alpha: tells clients what this port serves, and nothing of what only members call elsewhere.

use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

/// Every service on the port of clients, nodes and operators.
pub(super) const SERVED: [&str; 7] = [
    "helixflow.v1.InferenceService",
    "helixflow.v1.ClusterService",
    "helixflow.v1.TelemetryService",
    "inference.GRPCInferenceService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Adds both versions.
pub(super) fn add_to(routes: Routes) -> Result<Routes, Error> {
    Ok(routes.add_service(described().build_v1()?).add_service(described().build_v1alpha()?))
}

fn described() -> Builder<'static> {
    let files = [
        helixflow_proto::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let described = Builder::configure().include_reflection_service(false);
    let described = SERVED.iter().fold(described, |described, name| described.with_service_name(*name));
    files.iter().fold(described, |described, file| described.register_encoded_file_descriptor_set(file))
}
