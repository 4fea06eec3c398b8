//! The library that plays NVML, for tests that start processes which load it. The node's own tests take this file in by
//! its path: they depend on no crate of this folder.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// The library of the same build as the running test. Cargo builds it where that was not done already.
///
/// # Errors
/// When it cannot be built, or is not there; the error names the command that builds it.
pub fn nvml_stub() -> io::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let missing = || io::Error::other("a test lies in target/<profile>/deps");
    let folder = test.parent().and_then(Path::parent).ok_or_else(missing)?;
    let target = folder.parent().ok_or_else(missing)?;
    let profile = folder.file_name().and_then(|name| name.to_str()).ok_or_else(missing)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", "helixflow-nvml-stub"])
        .args(["--profile", if profile == "debug" { "dev" } else { profile }])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    usable(folder.join("libhelixflow_nvml_stub.so"), &built)
}

/// The library, unless cargo could not build it: what lies there is of an older build then. Without a cargo, what lies
/// there is all that there is.
fn usable(library: PathBuf, built: &io::Result<ExitStatus>) -> io::Result<PathBuf> {
    let is_stale = built.as_ref().is_ok_and(|status| !status.success());
    if !is_stale && library.is_file() {
        return Ok(library);
    }
    Err(io::Error::other(format!(
        "no library that plays NVML at {} ({built:?}): build it with `cargo build -p helixflow-nvml-stub`",
        library.display()
    )))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn a_library_that_could_not_be_built_anew_is_not_used() {
        let there = std::env::current_exe().expect("a file that is there");
        let ended = |status| Ok(ExitStatus::from_raw(status));
        assert!(usable(there.clone(), &ended(0)).is_ok());
        assert!(usable(there.clone(), &Err(io::ErrorKind::NotFound.into())).is_ok(), "there is no cargo");
        let error = usable(there, &ended(101 << 8)).expect_err("an old library").to_string();
        assert!(error.contains("cargo build -p helixflow-nvml-stub"), "{error}");
        assert!(usable("/nowhere/library.so".into(), &ended(0)).is_err());
    }
}
