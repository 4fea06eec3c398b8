//! What processes use of the machine, as Linux counts it under `/proc`, over a window of time.
#![expect(clippy::disallowed_methods, reason = "a test measures real processes on real time")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cluster::Record;

/// Clock ticks in a second of `/proc`: USER_HZ, 100 on every architecture that the product runs on.
const TICKS_PER_SECOND: u64 = 100;
/// The fields of `/proc/PID/stat` after the name, counted from 0: user time and system time, in ticks.
const USER_AND_SYSTEM: [usize; 2] = [11, 12];
/// The fields of the first line of `/proc/stat` after its name: idle, and idle while waiting for a disk.
const IDLE_AND_WAITING: [usize; 2] = [3, 4];

/// How long to measure: `HELIXFLOW_WINDOW_SECONDS`, which `make verify-…` sets, or a small sample.
#[must_use]
pub fn window() -> Duration {
    let set = std::env::var("HELIXFLOW_WINDOW_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(set.unwrap_or(10))
}

/// Shares of one core, by the id of the process, since a beginning.
#[derive(Debug)]
pub struct Usage {
    began: Instant,
    processes: BTreeMap<String, (u32, Duration)>,
    idle: Duration,
}

impl Usage {
    /// Begins to measure the processes of a cluster.
    ///
    /// # Errors
    /// When one of them does not run.
    pub fn begin(record: &Record) -> Result<Self> {
        let mut processes = BTreeMap::new();
        for process in &record.processes {
            processes.insert(process.id.clone(), (process.pid, cpu_time(process.pid)?));
        }
        Ok(Self { began: Instant::now(), processes, idle: idle_time()? })
    }

    /// The share of one core that each process used since the beginning.
    ///
    /// # Errors
    /// When one of them does not run any more.
    pub fn shares(&self) -> Result<BTreeMap<String, f64>> {
        let window = self.began.elapsed().as_secs_f64();
        let share = |pid: u32, before: Duration| {
            let used = cpu_time(pid)?.saturating_sub(before);
            anyhow::Ok(used.as_secs_f64() / window)
        };
        self.processes.iter().map(|(id, (pid, before))| Ok((id.clone(), share(*pid, *before)?))).collect()
    }

    /// Cores of the whole machine that had nothing to do, on average.
    ///
    /// # Errors
    /// When the machine does not tell.
    pub fn idle_cores(&self) -> Result<f64> {
        Ok(idle_time()?.saturating_sub(self.idle).as_secs_f64() / self.began.elapsed().as_secs_f64())
    }
}

/// Time that a process has computed, in user and system mode.
///
/// # Errors
/// When it does not run any more.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold spaces.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/PID/stat has a name")?;
    ticks(fields, USER_AND_SYSTEM)
}

/// Time that all cores together had nothing to do.
fn idle_time() -> Result<Duration> {
    let stat = read("/proc/stat")?;
    let line =
        stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("/proc/stat has a total")?;
    ticks(line, IDLE_AND_WAITING)
}

fn ticks(line: &str, fields: [usize; 2]) -> Result<Duration> {
    let all: Vec<&str> = line.split_whitespace().collect();
    let field = |index: usize| Ok(all.get(index).context("a field is missing")?.parse::<u64>()?);
    let ticks: u64 = fields.iter().map(|index| field(*index)).sum::<Result<u64>>()?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(Path::new(path)).with_context(|| format!("reading {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_is_seen_to_compute() {
        let before = cpu_time(std::process::id()).unwrap();
        let mut sum = 0u64;
        while cpu_time(std::process::id()).unwrap() < before + Duration::from_millis(50) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(idle_time().unwrap() > Duration::ZERO);
    }
}
