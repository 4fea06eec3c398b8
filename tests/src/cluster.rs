//! A local cluster for a test: `helixflow up` as a user starts it, in a temporary directory, ended with the test.
//!
//! Tests of one file may share a cluster as a `static`, which is never dropped: a watchdog ends it with the process.
#![expect(clippy::disallowed_methods, reason = "a test drives real processes on real time")]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::{binary, model_file, program};

/// How long a cluster may take to come up, or to be whole again, on a machine that runs other tests as well.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// How long it may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Waits for the end of its input, which is the end of the test's process, then kills `up` and removes its data.
const WATCHDOG: &str = "cat > /dev/null; kill -KILL \"$1\"; rm -rf \"$2\"";

/// A running cluster.
#[derive(Debug)]
pub struct LocalCluster {
    data_dir: TempDir,
    up: Mutex<Child>,
    watchdog: Child,
}

/// `cluster.json`, as scripts read it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The cluster's id.
    pub cluster: String,
    /// Its processes.
    pub processes: Vec<Process>,
}

/// One process of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// A cluster that the tests of one file share, started by the first that needs it.
#[derive(Debug)]
pub struct Shared {
    options: &'static [&'static str],
    started: OnceLock<Result<LocalCluster>>,
}

impl Shared {
    /// With these options of `helixflow up`; starts nothing yet.
    #[must_use]
    pub const fn new(options: &'static [&'static str]) -> Self {
        Self { options, started: OnceLock::new() }
    }

    /// The running cluster.
    ///
    /// # Errors
    /// When it did not come up.
    pub fn get(&self) -> Result<&LocalCluster> {
        let started = self.started.get_or_init(|| LocalCluster::start(self.options));
        started.as_ref().map_err(|error| anyhow!("{error:#}"))
    }
}

/// A data directory whose nodes find the default model fetched already.
///
/// # Errors
/// When the model is missing, or no folder can be made.
pub fn new_data_dir() -> Result<TempDir> {
    let data_dir = tempfile::tempdir().context("a temporary folder")?;
    let model = model_file()?;
    let models = model.parent().context("the model lies in a folder")?;
    symlink(models, data_dir.path().join("models")).context("linking the models")?;
    Ok(data_dir)
}

impl LocalCluster {
    /// Starts a cluster with these options of `helixflow up` and waits until it is ready.
    ///
    /// # Errors
    /// When it does not come up; the error holds what `up` printed.
    pub fn start(options: &[&str]) -> Result<Self> {
        Self::start_in(new_data_dir()?, options, &[])
    }

    /// Starts a cluster in this data directory, with these environment variables beside the test's own.
    ///
    /// # Errors
    /// When it does not come up; the error holds what `up` printed.
    pub fn start_in(data_dir: TempDir, options: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        // A crash leaves the record of processes that are gone, which must not be taken for a cluster that is ready.
        let _ = std::fs::remove_file(data_dir.path().join("cluster.json"));
        let output = std::fs::File::create(data_dir.path().join("up.log")).context("a log for `up`")?;
        let mut up = Command::new(binary()?)
            .args(["up", "--no-example", "--data-dir"])
            .arg(data_dir.path())
            .args(options)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("starting `helixflow up`")?;
        let watchdog = watch(up.id(), data_dir.path());
        if watchdog.is_err() {
            up.kill()?;
        }
        let cluster = Self { data_dir, up: Mutex::new(up), watchdog: watchdog? };
        cluster.wait_for("the cluster to be ready", |cluster| cluster.record().is_ok())?;
        Ok(cluster)
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data_dir.path()
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
    /// When it cannot be started, or hangs; a command that fails is an output like any other.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        self.run_with_input(arguments, "")
    }

    /// Runs a command of the binary against this cluster, with this text behind a pipe.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let data_dir = self.data_dir.path().to_str().context("a temporary folder's name is text")?;
        program::run_with_input(&[arguments, &["--data-dir", data_dir]].concat(), input)
    }

    /// What a command with `--json` prints against this cluster.
    ///
    /// # Errors
    /// When the command fails, or prints no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&program::printed(self.run(arguments)?)?)?)
    }

    /// `helixflow status --json`.
    ///
    /// # Errors
    /// When no coordinator answers.
    pub fn status(&self) -> Result<Value> {
        self.json(&["status", "--json", "--timeout", "5"])
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
    pub fn wait_for(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Result<()> {
        let began = Instant::now();
        while !holds(self) {
            if let Some(status) = self.up().try_wait()? {
                bail!("`helixflow up` ended with {status} while waiting for {what}:\n{}", self.output());
            }
            if began.elapsed() > PATIENCE {
                bail!("waited {PATIENCE:?} for {what}; `helixflow up` printed:\n{}", self.output());
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
    pub fn stop(self) -> Result<(ExitStatus, TempDir)> {
        self.end("-INT")
    }

    /// Kills `helixflow up` alone, as a crash would, and gives back its data.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn crash(self) -> Result<(ExitStatus, TempDir)> {
        self.end("-KILL")
    }

    fn end(mut self, with: &str) -> Result<(ExitStatus, TempDir)> {
        signal(self.up().id(), with)?;
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.up().try_wait()? {
                break status;
            }
            if began.elapsed() > STOP_PATIENCE {
                bail!("`helixflow up` did not end within {STOP_PATIENCE:?}; it printed:\n{}", self.output());
            }
            std::thread::sleep(POLL);
        };
        let data_dir = std::mem::replace(&mut self.data_dir, tempfile::tempdir()?);
        Ok((status, data_dir))
    }

    fn up(&self) -> MutexGuard<'_, Child> {
        self.up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        // First the watchdog: it would kill by an id that may belong to somebody else by then.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let mut up = self.up();
        // Its children die with it, by their parent-death signal.
        let _ = up.kill();
        let _ = up.wait();
    }
}

/// Starts the watchdog of an `up`.
fn watch(up: u32, data_dir: &Path) -> Result<Child> {
    let mut command = Command::new("sh");
    command.args(["-c", WATCHDOG, "sh", &up.to_string()]).arg(data_dir);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("starting the watchdog of `helixflow up`")
}

/// Sends a signal to a process that this test, or a child of it, started.
fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").arg(name).arg(pid.to_string()).status().context("running `kill`")?;
    ensure!(status.success(), "`kill {name} {pid}` failed");
    Ok(())
}

/// Whether a process with this id runs.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie has ended; only its parent has not looked yet.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits until no process of this record runs any more.
///
/// # Errors
/// When some of them do not end in time; the error names them.
pub fn all_end(record: &Record) -> Result<()> {
    let began = Instant::now();
    loop {
        let alive: Vec<_> =
            record.processes.iter().filter(|p| is_alive(p.pid)).map(|p| p.id.as_str()).collect();
        if alive.is_empty() {
            return Ok(());
        }
        ensure!(began.elapsed() < STOP_PATIENCE, "still alive: {alive:?}");
        std::thread::sleep(POLL);
    }
}
