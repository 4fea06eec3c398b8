//! The product's own binary, run as a user runs it, and what it said.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

use crate::binary;

/// How long a command may take, in seconds: the longest are whole experiments on a machine that runs other tests too.
const PATIENCE: &str = "600";
/// The exit code of a command that took longer, as `timeout` gives it.
const TOO_LATE: i32 = 124;

/// Runs the binary to its end without any input.
///
/// # Errors
/// When it cannot be started, or hangs; a command that fails is an output like any other.
pub fn run(arguments: &[&str]) -> Result<Output> {
    run_with_input(arguments, "")
}

/// Runs the binary to its end with this text behind a pipe as its standard input.
///
/// # Errors
/// As [`run`].
pub fn run_with_input(arguments: &[&str], input: &str) -> Result<Output> {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", PATIENCE])
        .arg(binary()?)
        .args(arguments)
        .env_remove("HELIXFLOW_DATA_DIR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("running the binary")?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that ends without reading its input has not failed by that.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().context("waiting for the binary")?;
    ensure!(output.status.code() != Some(TOO_LATE), "helixflow {arguments:?} hangs; it said {output:?}");
    Ok(output)
}

/// What a command printed, when it succeeded.
///
/// # Errors
/// When it failed; the error holds what it said.
pub fn printed(output: Output) -> Result<String> {
    ensure!(output.status.success(), "the command ended with {}: {}", output.status, errors(&output));
    String::from_utf8(output.stdout).context("the command prints text")
}

/// What a command said on standard error.
#[must_use]
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Checks that a command failed with this exit code, and with a message that holds each of these parts.
///
/// # Errors
/// When it did not; the error holds what it said.
pub fn refused(output: &Output, code: i32, parts: &[&str]) -> Result<()> {
    let said = errors(output);
    ensure!(output.status.code() == Some(code), "ended with {} and not with {code}: {said}", output.status);
    let missing: Vec<_> = parts.iter().filter(|part| !said.contains(**part)).collect();
    ensure!(missing.is_empty(), "does not say {missing:?}: {said}");
    Ok(())
}
