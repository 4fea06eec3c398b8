//! A model made of a file that the user names: `--model FILE.gguf`.

use std::path::Path;

use helixflow_model::{Architecture, Bytes, ModelId, ModelSource, ModelSpec, Requirements};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::FetchError;
use super::files::{self, blocking};
use super::progress::{Caller, Progress, Stage};

/// Digits of the hash that make the version of a local file.
const VERSION_DIGITS: usize = 12;

/// What the reader of a GGUF header knows of a file, and this module does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalFacts {
    /// Which family computes it.
    pub architecture: Architecture,
    /// Number of layers.
    pub layers: u32,
    /// Longest sequence in tokens.
    pub context: u32,
    /// Memory that one replica needs for weights and KV cache.
    pub memory: Bytes,
    /// How many replicas to keep.
    pub replicas: u32,
}

/// Makes a model of a file on this machine: called like the file, its version the beginning of its hash.
///
/// Reads the whole file once. Dropping the future ends that.
pub async fn local_model(
    file: &Path,
    facts: LocalFacts,
    progress: &watch::Sender<Progress>,
) -> Result<ModelSpec, FetchError> {
    let gone = CancellationToken::new();
    let _stops_the_thread = gone.clone().drop_guard();
    let path = files::absolute(file)?;
    let caller = Caller::new(progress.clone(), gone, Bytes(files::size(&path).unwrap_or(0)));
    let hashed = path.clone();
    let (sha256, size) = blocking(move || {
        let (digest, size) = files::hash(&files::open(&hashed)?, &hashed, &caller)?;
        caller.report(Stage::Ready, size);
        Ok((hex::encode(sha2::Digest::finalize(digest)), size))
    })
    .await?;
    Ok(ModelSpec {
        id: model_id(&path)?,
        version: sha256.chars().take(VERSION_DIGITS).collect(),
        architecture: facts.architecture,
        layers: facts.layers,
        context: facts.context,
        memory: facts.memory,
        sha256,
        size: Bytes(size),
        sources: vec![ModelSource::Path(text(&path)?.to_owned())],
        replicas: facts.replicas,
        requires: Requirements::default(),
    })
}

/// The file's name without its ending, with '-' for what a model id cannot hold.
fn model_id(path: &Path) -> Result<ModelId, FetchError> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    ModelId::new(name).map_err(|error| unusable(path, error))
}

fn text(path: &Path) -> Result<&str, FetchError> {
    path.to_str().ok_or_else(|| unusable(path, "its path is not UTF-8; move it elsewhere"))
}

fn unusable(path: &Path, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FetchError {
    let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, why);
    FetchError::file("name a model after", path, source)
}
