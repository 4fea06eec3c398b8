//! The data directory of a local cluster: what lies where in it.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// Where a local cluster keeps everything, when the user names no place.
pub(crate) fn default_path() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    state.unwrap_or_else(|| PathBuf::from(".")).join("helixflow")
}

/// A local cluster's folder, as an absolute path: its processes and its hints must not depend on where `up` was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    /// The folder that the user named; it need not be there yet.
    pub(crate) fn new(named: &Path) -> anyhow::Result<Self> {
        std::path::absolute(named)
            .map(Self)
            .with_context(|| format!("{} is no path to a folder", named.display()))
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Held by the one `up` that runs on the folder.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Ids, regions and ports, drawn once.
    pub(crate) fn layout(&self) -> PathBuf {
        self.0.join("layout.json")
    }

    /// The record of the running processes.
    pub(crate) fn cluster_file(&self) -> PathBuf {
        self.0.join("cluster.json")
    }

    /// Weights, shared by all nodes.
    pub(crate) fn models(&self) -> PathBuf {
        self.0.join("models")
    }

    /// The logs of all processes.
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// One process's log.
    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.logs().join(format!("{process}.log"))
    }

    /// One process's own folder.
    pub(crate) fn home(&self, process: &str) -> PathBuf {
        self.0.join(process)
    }

    /// One process's configuration.
    pub(crate) fn config(&self, process: &str) -> PathBuf {
        self.home(process).join("config.toml")
    }
}
