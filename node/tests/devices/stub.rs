//! The library that plays NVML: told what to play, asked what was set.
#![expect(clippy::disallowed_methods, reason = "the library and its script lie on the real disk")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use parking_lot::Mutex;
use serde_json::Value;

use crate::nvml_stub::nvml_stub;

/// What `HELIXFLOW_NVML_LIBRARY` is to name.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| nvml_stub().expect("the library that plays NVML"))
}

/// What the library plays, and its log.
pub(crate) struct Script {
    path: PathBuf,
    value: Mutex<Value>,
}

impl Script {
    pub(crate) fn new(folder: &Path, value: Value) -> Self {
        let script = Self { path: folder.join("nvml.json"), value: Mutex::new(value) };
        script.change(|_| {});
        script
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Changes what is played from now on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut value = self.value.lock();
        change(&mut value);
        // By rename, since a process may read it at any moment.
        let next = self.path.with_extension("next");
        std::fs::write(&next, value.to_string()).expect("a script");
        std::fs::rename(&next, &self.path).expect("the script in place");
    }

    /// How many events were delivered.
    pub(crate) fn events(&self) -> usize {
        std::fs::read_to_string(self.path.with_extension("events")).unwrap_or_default().lines().count()
    }

    /// How many waits for events have failed.
    pub(crate) fn failed_waits(&self) -> usize {
        std::fs::read_to_string(self.path.with_extension("failed-waits")).unwrap_or_default().lines().count()
    }

    /// The calls that set something, in order.
    pub(crate) fn set(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.path.with_extension("log")).unwrap_or_default();
        log.lines().map(|line| line.replacen("nvmlDevice", "", 1)).collect()
    }
}
