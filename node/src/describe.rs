//! What a model's file says of itself: enough for a cluster to place it.

use std::path::{Path, PathBuf};

use helixflow_engine::compute::PAGE_POSITIONS;
use helixflow_engine::compute::cpu::{Hyperparameters, LoadError};
use helixflow_engine::gguf::{GgufError, GgufFile};
use helixflow_model::{Architecture, Bytes, ModelSpec};
use tokio::sync::watch;

use crate::shard::ModelText;
use crate::weights::{self, FetchError, LocalFacts, Progress};

/// Positions of KV cache that a replica is given at least: enough for several conversations at once. A model with a
/// longer context is given what one sequence of full length needs.
const USEFUL_POSITIONS: usize = 16_384;

/// A file that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// It is no sound GGUF.
    #[error("{path} is no model that can be served")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: GgufError,
    },
    /// The engine cannot run it.
    #[error("{path} is no model that the engine runs")]
    Model {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: LoadError,
    },
    /// Its tokenizer or chat template cannot be used.
    #[error("the text of {path} cannot be used")]
    Text {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] FetchError),
}

/// Reads a model's file on this machine: its header, and all of it for the hash. One replica, unless changed.
pub async fn describe(file: &Path, progress: &watch::Sender<Progress>) -> Result<ModelSpec, DescribeError> {
    let path = file.to_owned();
    let gguf = GgufFile::open(file).map_err(|source| DescribeError::File { path: path.clone(), source })?;
    let hyper =
        Hyperparameters::read(&gguf).map_err(|source| DescribeError::Model { path: path.clone(), source })?;
    ModelText::read(gguf.metadata()).map_err(|error| DescribeError::Text { path, source: error.into() })?;
    drop(gguf);
    let pages = hyper.pages_per_sequence().max(USEFUL_POSITIONS / PAGE_POSITIONS);
    let kv = (pages as u64).saturating_mul(hyper.page_bytes(hyper.all_layers()) as u64);
    let facts = LocalFacts {
        architecture: Architecture::Llama,
        layers: hyper.layers,
        context: u32::try_from(hyper.context).unwrap_or(u32::MAX),
        memory: Bytes(kv),
        replicas: 1,
    };
    let mut spec = weights::local_model(file, facts, progress).await?;
    spec.memory = Bytes(spec.memory.0.saturating_add(spec.size.0));
    Ok(spec)
}
