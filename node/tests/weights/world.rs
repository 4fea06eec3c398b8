//! A directory of weights, a small "model" and the settings to fetch it, for one test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use helixflow_model::{Architecture, Bytes, ModelId, ModelSource, ModelSpec, Requirements};
use helixflow_node::weights::{FetchError, FetchSettings, Patience, Progress, SourceFailure, fetch};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::watch;

/// Everything that one test needs; its files go with it.
pub(crate) struct World {
    pub(crate) weights: Vec<u8>,
    pub(crate) settings: FetchSettings,
    folder: TempDir,
}

impl World {
    /// With a file of three million bytes that do not repeat early.
    pub(crate) fn new() -> Self {
        let weights = (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let patience = Patience { retries: 2, first_pause: Duration::from_millis(1), ..Patience::default() };
        Self {
            weights,
            settings: FetchSettings { patience, ..FetchSettings::default() },
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The directory that files are fetched into.
    pub(crate) fn dir(&self) -> PathBuf {
        self.path("weights")
    }

    /// A file of the directory of weights, by its ending.
    pub(crate) fn place(&self, ending: &str) -> PathBuf {
        self.dir().join(format!("{}.{ending}", self.sha256()))
    }

    pub(crate) fn sha256(&self) -> String {
        hex::encode(Sha256::digest(&self.weights))
    }

    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder is created");
        std::fs::write(path, bytes).expect("a file is written");
    }

    /// The model's record, with these sources.
    pub(crate) fn spec(&self, sources: Vec<ModelSource>) -> ModelSpec {
        ModelSpec {
            id: ModelId::new("tiny").expect("a name"),
            version: "1".to_owned(),
            architecture: Architecture::Llama,
            layers: 1,
            context: 8,
            memory: Bytes(self.weights.len() as u64),
            sha256: self.sha256(),
            size: Bytes(self.weights.len() as u64),
            sources,
            replicas: 1,
            requires: Requirements::default(),
        }
    }

    /// Fetches from these sources.
    pub(crate) async fn fetch(&self, sources: Vec<ModelSource>) -> Result<PathBuf, FetchError> {
        fetch(&self.spec(sources), &self.dir(), &self.settings, &watch::Sender::new(Progress::default()))
            .await
    }

    /// Fetches from the hub of the settings.
    pub(crate) async fn fetch_from_hub(&self) -> Result<PathBuf, FetchError> {
        self.fetch(vec![hub_source()]).await
    }

    /// Asserts that a fetch gave the right bytes in the right place, and left nothing else but its lock.
    pub(crate) fn assert_fetched(&self, fetched: Result<PathBuf, FetchError>) {
        let path = fetched.unwrap_or_else(|error| panic!("the fetch failed: {error}"));
        assert_eq!(path, self.place("gguf"));
        assert!(std::fs::read(&path).expect("the file is read") == self.weights, "other bytes are in place");
        assert!(self.leftovers().is_empty(), "left behind: {:?}", self.leftovers());
    }

    /// What is in the directory of weights besides the file and its lock.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir()).expect("the directory is read");
        entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| !name.ends_with(".gguf") && !name.ends_with(".lock"))
            .collect()
    }
}

/// The source that a hub of the tests serves.
pub(crate) fn hub_source() -> ModelSource {
    ModelSource::Hf {
        repo: "owner/name".to_owned(),
        revision: "0123abc".to_owned(),
        file: "folder/tiny.gguf".to_owned(),
    }
}

/// The error of the only source.
pub(crate) fn only_failure(fetched: Result<PathBuf, FetchError>) -> FetchError {
    match fetched.expect_err("the fetch succeeded") {
        FetchError::EverySource { mut failures, .. } if failures.len() == 1 => {
            let SourceFailure { error, .. } = failures.remove(0);
            error
        }
        other => panic!("not the failure of one source: {other:?}"),
    }
}
