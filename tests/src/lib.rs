//! What the tests of the whole product share: where the checkout, the model, the binary and Python lie, and how
//! source files are read and measured.
//!
//! Everything that a test needs beyond the toolchain is put in place by `make test`; a missing piece is an error
//! that names the command which brings it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub mod agreement;
pub mod answers;
pub mod bench;
pub mod cluster;
pub mod default_model;
pub mod http;
pub mod llamacpp;
pub mod nvml_stub;
pub mod pipeline;
pub mod program;
pub mod reference;
pub mod rows;
pub mod rust_file;
pub mod scrape;
pub mod synthetic;
pub mod teacher_forced;
pub mod tidy;
pub mod tree;
pub mod usage;

/// The default model's file, relative to the workspace, where `make model` puts it.
const MODEL: &str = "target/models/smollm2-135m-instruct.gguf";

/// The Python interpreter that has the pinned packages, relative to the workspace, where `make tools` puts it.
const PYTHON: &str = "target/tools/venv/bin/python";

/// The folder of the workspace's `Cargo.toml`.
#[must_use]
pub fn workspace_root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// The default model's file: `HELIXFLOW_TEST_MODEL`, or where `make model` puts it.
///
/// # Errors
/// When no file is there.
pub fn model_file() -> Result<PathBuf> {
    let path = configured("HELIXFLOW_TEST_MODEL", MODEL);
    existing(path).context("the tests run a real model: fetch it with `make model`")
}

/// The Python interpreter with the packages of `tests/scripts/requirements.txt`: `HELIXFLOW_TEST_PYTHON`, or where
/// `make tools` puts it.
///
/// # Errors
/// When no interpreter is there.
pub fn python() -> Result<PathBuf> {
    let path = configured("HELIXFLOW_TEST_PYTHON", PYTHON);
    existing(path).context("some tests compare with Python packages: install them with `make tools`")
}

/// The binary `helixflow`: `HELIXFLOW_TEST_BINARY`, which `make verify-…` sets to the optimised one, or that of the same
/// build as the running test, beside the folder of the test's own executable, `target/<profile>/deps`.
///
/// # Errors
/// When it has not been built.
pub fn binary() -> Result<PathBuf> {
    if let Some(set) = std::env::var_os("HELIXFLOW_TEST_BINARY") {
        return existing(PathBuf::from(set)).context("HELIXFLOW_TEST_BINARY names the binary to test");
    }
    let test = std::env::current_exe().context("the running test's own path")?;
    let Some(profile) = test.parent().and_then(Path::parent) else {
        bail!("{} does not lie in target/<profile>/deps: run the tests with cargo", test.display());
    };
    existing(profile.join("helixflow"))
        .context("the tests start the product's own binary: build it with `make build`")
}

/// Whether a binary was built with optimisation, by the folder that cargo puts it into.
#[must_use]
pub fn is_optimised(binary: &Path) -> bool {
    binary.parent().is_some_and(|profile| profile.ends_with("release"))
}

/// Whether the full counts are wanted (`make verify-…` sets `HELIXFLOW_FULL_COUNTS=1`) and not the small samples of
/// `make test`.
#[must_use]
pub fn full_counts() -> bool {
    std::env::var_os("HELIXFLOW_FULL_COUNTS").is_some_and(|value| value == "1")
}

/// The value of an environment variable, or else a path inside the workspace.
fn configured(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| workspace_root().join(default), PathBuf::from)
}

fn existing(path: PathBuf) -> Result<PathBuf> {
    if !path.is_file() {
        bail!("no file at {}", path.display());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_root_holds_the_workspace_manifest() {
        assert!(workspace_root().join("Cargo.lock").is_file());
    }

    #[test]
    fn a_missing_file_is_named_in_the_error() {
        let error = existing(PathBuf::from("nowhere/model.gguf")).unwrap_err();
        assert_eq!(error.to_string(), "no file at nowhere/model.gguf");
    }
}
