//! Compiles the .proto files in Rust (no protoc) and keeps their descriptors for reflection.

use std::path::PathBuf;
use std::{env, fs};

use protox::prost::Message;

const FILES: [&str; 6] = [
    "helixflow/v1/inference.proto",
    "helixflow/v1/shard.proto",
    "helixflow/v1/telemetry.proto",
    "helixflow/v1/cluster.proto",
    "helixflow/v1/raft.proto",
    "inference/open_inference.proto",
];

#[expect(clippy::disallowed_methods, reason = "a build script writes files; no simulation runs it")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".helixflow.v1.RaftFrame")
        .bytes(".helixflow.v1.SnapshotChunk")
        .compile_fds(descriptors)?;
    Ok(())
}
