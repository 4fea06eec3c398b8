//! Syncs per acknowledged write, counted from outside: strace on every process of a side while it is written to.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cluster::Cluster;
use crate::load::{Target, load};

/// The calls that make data durable.
const CALLS: &str = "trace=fsync,fdatasync,msync,sync_file_range,sync,syncfs";
/// How long it is counted.
const COUNTED: Duration = Duration::from_secs(2);

/// Syncs of all members together, by writes that were acknowledged meanwhile.
pub(crate) async fn per_write(cluster: &Cluster, writers: usize, folder: &Path) -> Result<f64> {
    let summary = tempfile::NamedTempFile::new_in(folder)?;
    let mut strace = attach(&cluster.pids(), summary.path())?;
    let written = load(cluster, Target::Leader, writers, COUNTED).await;
    // Interrupted, strace lets go of the processes and writes its summary.
    let told = Command::new("kill").args(["-INT", &strace.id().to_string()]).status()?;
    strace.wait()?;
    ensure!(told.success(), "strace ended before it was told to");
    let syncs = calls(&std::fs::read_to_string(summary.path())?)?;
    Ok(syncs as f64 / written?.acknowledged as f64)
}

/// Attaches to every thread of these processes; returns once it holds all of them.
fn attach(pids: &[u32], summary: &Path) -> Result<Child> {
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-e", CALLS, "-o"]).arg(summary);
    for pid in pids {
        command.args(["-p", &pid.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut strace = command.spawn().context("syncs are counted by strace: install it")?;
    let said = strace.stderr.take().context("its standard error")?;
    let mut lines = BufReader::new(said).lines();
    for pid in pids {
        let attached = format!("Process {pid} attached");
        lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(&attached))).with_context(
            || format!("strace cannot attach to process {pid}: it needs the right to trace"),
        )??;
    }
    // It goes on to say a line for each new thread.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(strace)
}

/// The sum of the column `calls` of strace's summary.
fn calls(summary: &str) -> Result<u64> {
    let names = CALLS.trim_start_matches("trace=");
    let mut sum = 0;
    for line in summary.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let (Some(calls), Some(name)) = (fields.get(3), fields.last())
            && names.split(',').any(|known| known == *name)
        {
            sum += calls.parse::<u64>().with_context(|| format!("no number of calls in {line:?}"))?;
        }
    }
    Ok(sum)
}
