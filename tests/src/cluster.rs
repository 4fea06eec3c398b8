//! A local cluster for a test: `helixflow up` as a user starts it, in a temporary directory, ended with the test.
#![expect(clippy::disallowed_methods, reason = "a test drives real processes on real time")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::{binary, model_file};

/// How long a cluster may take to come up on a machine that runs other tests as well.
const START_PATIENCE: Duration = Duration::from_secs(180);
/// How long it may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(50);

/// A running cluster.
#[derive(Debug)]
pub struct LocalCluster {
    data_dir: TempDir,
    up: Child,
}

/// `cluster.json`, as scripts read it.
#[derive(Clone, Debug, Deserialize)]
pub struct Record {
    /// The cluster's id.
    pub cluster: String,
    /// Its processes.
    pub processes: Vec<Process>,
}

/// One process of the cluster.
#[derive(Clone, Debug, Deserialize)]
pub struct Process {
    /// Its id, for instance `node-1`.
    pub id: String,
    /// `coordinator` or `node`.
    pub role: String,
    /// Its region.
    pub region: String,
    /// Its process id.
    pub pid: u32,
    /// `host:port` for gRPC.
    pub grpc: String,
    /// `host:port` for metrics and health.
    pub http: Option<String>,
}

impl LocalCluster {
    /// Starts a cluster with these options of `helixflow up` and waits until it is ready.
    ///
    /// # Errors
    /// When it does not come up; the error holds what `up` printed.
    pub fn start(options: &[&str]) -> Result<Self> {
        let data_dir = tempfile::tempdir().context("a temporary folder")?;
        let model = model_file()?;
        let models = model.parent().context("the model lies in a folder")?;
        // The nodes find the model fetched already.
        symlink(models, data_dir.path().join("models")).context("linking the models")?;
        Self::start_in(data_dir, options)
    }

    /// Starts a cluster on the data of an earlier one.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_in(data_dir: TempDir, options: &[&str]) -> Result<Self> {
        let output = std::fs::File::create(data_dir.path().join("up.log")).context("a log for `up`")?;
        let up = Command::new(binary()?)
            .args(["up", "--no-example", "--data-dir"])
            .arg(data_dir.path())
            .args(options)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("starting `helixflow up`")?;
        let mut cluster = Self { data_dir, up };
        cluster.wait_for("the cluster to be ready", START_PATIENCE, |c| c.record().is_ok())?;
        Ok(cluster)
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// The process id of `helixflow up`.
    #[must_use]
    pub fn up_pid(&self) -> u32 {
        self.up.id()
    }

    /// `cluster.json` as it stands now.
    ///
    /// # Errors
    /// While the cluster is not ready.
    pub fn record(&self) -> Result<Record> {
        let text = std::fs::read_to_string(self.data_dir.path().join("cluster.json"))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// One process, by its id.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn process(&self, id: &str) -> Result<Process> {
        let found = self.record()?.processes.into_iter().find(|process| process.id == id);
        found.with_context(|| format!("no process {id}"))
    }

    /// Where the coordinators answer clients.
    ///
    /// # Errors
    /// While the cluster is not ready.
    pub fn endpoints(&self) -> Result<Vec<String>> {
        let processes = self.record()?.processes;
        Ok(processes.into_iter().filter(|p| p.role == "coordinator").map(|p| p.grpc).collect())
    }

    /// Runs a command of the binary against this cluster.
    ///
    /// # Errors
    /// When it cannot be started; a command that fails is an output like any other.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(binary()?);
        command.args(arguments).arg("--data-dir").arg(self.data_dir.path()).stdin(Stdio::null());
        command.output().context("running the binary")
    }

    /// `helixflow status --json`.
    ///
    /// # Errors
    /// When no coordinator answers.
    pub fn status(&self) -> Result<Value> {
        let output = self.run(&["status", "--json", "--timeout", "5"])?;
        if !output.status.success() {
            bail!("status failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Kills a process as a crash would, by its id.
    ///
    /// # Errors
    /// When there is none of that id, or the kill fails.
    pub fn kill(&self, id: &str) -> Result<Process> {
        let process = self.process(id)?;
        signal(process.pid, "-KILL")?;
        Ok(process)
    }

    /// Waits until a condition holds.
    ///
    /// # Errors
    /// When it does not hold in time, or `up` has ended; the error holds what `up` printed.
    pub fn wait_for(&mut self, what: &str, patience: Duration, holds: impl Fn(&Self) -> bool) -> Result<()> {
        let began = Instant::now();
        while !holds(self) {
            if let Some(status) = self.up.try_wait()? {
                bail!("`helixflow up` ended with {status} while waiting for {what}:\n{}", self.output());
            }
            if began.elapsed() > patience {
                bail!("waited {patience:?} for {what}; `helixflow up` printed:\n{}", self.output());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// What `up` has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.data_dir.path().join("up.log")).unwrap_or_default()
    }

    /// Ends the cluster as Ctrl-C does, and gives back its data.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(mut self) -> Result<(ExitStatus, TempDir)> {
        signal(self.up.id(), "-INT")?;
        let status = self.end(STOP_PATIENCE)?;
        let data_dir = std::mem::replace(&mut self.data_dir, tempfile::tempdir()?);
        Ok((status, data_dir))
    }

    fn end(&mut self, patience: Duration) -> Result<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.up.try_wait()? {
                return Ok(status);
            }
            if began.elapsed() > patience {
                bail!("`helixflow up` did not end within {patience:?}; it printed:\n{}", self.output());
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        // Its children die with it, by their parent-death signal.
        let _ = self.up.kill();
        let _ = self.up.wait();
    }
}

/// Sends a signal to a process that this test, or a child of it, started.
fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").arg(name).arg(pid.to_string()).status().context("running `kill`")?;
    if !status.success() {
        bail!("`kill {name} {pid}` failed");
    }
    Ok(())
}

/// Whether a process with this id runs.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie has ended; only its parent has not looked yet.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
