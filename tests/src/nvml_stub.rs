//! The library that plays NVML, for tests of the product's own binary.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace_root;

/// The library of the same build as the running test. Cargo builds it where that was not done already.
///
/// # Errors
/// When it is not there and cannot be built; the error names the command that builds it.
pub fn nvml_stub() -> Result<PathBuf> {
    let test = std::env::current_exe().context("the running test's own path")?;
    let folder = test.parent().and_then(Path::parent).context("a test lies in target/<profile>/deps")?;
    let profile = folder.file_name().and_then(|name| name.to_str()).context("a profile's folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", "helixflow-nvml-stub"])
        .args(["--profile", if profile == "debug" { "dev" } else { profile }])
        .arg("--target-dir")
        .arg(folder.parent().context("a target folder")?)
        .current_dir(workspace_root())
        .status();
    let library = folder.join("libhelixflow_nvml_stub.so");
    ensure!(
        library.is_file(),
        "no library that plays NVML at {} ({built:?}): build it with `cargo build -p helixflow-nvml-stub`",
        library.display()
    );
    Ok(library)
}
