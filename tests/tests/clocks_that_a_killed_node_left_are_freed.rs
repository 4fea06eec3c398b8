//! `helixflow node release-clocks`, which a unit runs when its node has stopped, and the process that reads devices.
//!
//! The GPUs are those of a library that plays NVML; the binary, its processes and its files are real.
#![expect(clippy::disallowed_methods, reason = "a test of real processes writes their real files")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use helixflow_env::Disk;
use helixflow_env::disk::RealDisk;
use helixflow_tests::binary;
use helixflow_tests::nvml_stub::nvml_stub;
use helixflow_tests::program::{errors, printed, refused};
use tempfile::TempDir;

/// How long a command may take, in seconds: longer than the node waits for a driver.
const PATIENCE: &str = "120";
/// A journal in which a node has locked one clock.
const ONE_CLOCK: &str = r#"{"format": 1, "boards": {"GPU-0": "locked-clock"}}"#;

/// A node's folder and configuration, and what the library plays.
struct Node {
    folder: TempDir,
}

impl Node {
    fn new(script: &str) -> Result<Self> {
        let node = Self { folder: tempfile::tempdir()? };
        std::fs::write(node.path("nvml.json"), script)?;
        let config = format!(
            "cluster = \"c\"\nregion = \"r\"\ncoordinators = [\"127.0.0.1:7100\"]\ndata_dir = {:?}\n\
             grpc = {{ listen = \"127.0.0.1:0\" }}\nhttp = {{ listen = \"127.0.0.1:0\" }}\n",
            node.folder.path()
        );
        std::fs::write(node.path("node.toml"), config)?;
        Ok(node)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", PATIENCE])
            .arg(binary()?)
            .args(arguments)
            .env("HELIXFLOW_NVML_LIBRARY", nvml_stub()?)
            .env("HELIXFLOW_NVML_STUB", self.path("nvml.json"))
            .env("HELIXFLOW_SYSFS", "/nowhere");
        Ok(command)
    }

    fn release(&self) -> Result<Output> {
        let config = self.path("node.toml");
        let config = config.to_str().context("a path of letters")?;
        self.command(&["node", "release-clocks", "--config", config])?.output().context("running the binary")
    }

    fn set(&self) -> String {
        std::fs::read_to_string(self.path("nvml.log")).unwrap_or_default()
    }
}

#[test]
fn what_a_killed_node_left_is_undone_once() -> Result<()> {
    let node = Node::new(r#"{"boards": [{"uuid": "GPU-0"}]}"#)?;
    assert!(printed(node.release()?)?.contains("nothing is set"));
    std::fs::write(node.path("clocks.json"), ONE_CLOCK)?;
    assert!(printed(node.release()?)?.contains("on one GPU is undone"));
    assert_eq!(node.set(), "nvmlDeviceResetGpuLockedClocks GPU-0\n");
    assert!(printed(node.release()?)?.contains("nothing is set"));
    Ok(())
}

#[test]
fn a_driver_that_refuses_is_an_error_that_says_how_to_go_on() -> Result<()> {
    let script = r#"{"boards": [{"uuid": "GPU-0", "errors": {"nvmlDeviceResetGpuLockedClocks": 4}}]}"#;
    let node = Node::new(script)?;
    std::fs::write(node.path("clocks.json"), ONE_CLOCK)?;
    refused(&node.release()?, 1, &["GPU-0 is still set", "nvidia-smi -rgc -i GPU-0", "only root"])
}

#[test]
fn the_clocks_of_a_node_that_runs_are_left_alone() -> Result<()> {
    let node = Node::new(r#"{"boards": [{"uuid": "GPU-0"}]}"#)?;
    std::fs::write(node.path("clocks.json"), ONE_CLOCK)?;
    let _lock = RealDisk.lock(&node.path("lock"))?;
    refused(&node.release()?, 1, &["is in use by another process"])?;
    assert_eq!(node.set(), "");
    Ok(())
}

#[test]
fn the_process_that_reads_devices_ends_with_its_input_whatever_the_driver_does() -> Result<()> {
    for script in [r#"{"boards": [{"uuid": "GPU-0"}]}"#, r#"{"held": ["nvmlInit_v2"], "boards": []}"#] {
        let node = Node::new(script)?;
        let mut command = node.command(&["node", "read-devices"])?;
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if !script.contains("held") {
            let output = child.stdout.take().context("a pipe")?;
            // Each driver tells what it has found as it answers.
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.find(|line| line.contains("GPU-0")).context("a line that names the GPU")?;
        }
        drop(child.stdin.take());
        let output = child.wait_with_output()?;
        // Killed by itself, and not by the clock: `timeout` would say 124.
        assert_ne!(output.status.code(), Some(124), "{}", errors(&output));
    }
    assert!(!Path::new("/nowhere").exists());
    Ok(())
}
