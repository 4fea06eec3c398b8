//! One child process: started under its identity, restarted with back-off when it dies, ended when told.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use helixflow_env::disk;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::NO_MEMBER;

/// The wait before the first restart; it doubles with each death in a row.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait before a restart.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A process that lived this long has recovered: its next restart waits as the first.
const SETTLED: Duration = Duration::from_secs(10);
/// How long a process may take to end after it was asked; then it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How to start a process.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Its name, for instance `node-2`.
    pub(crate) name: String,
    /// This binary.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Where its standard output and error go.
    pub(crate) log: PathBuf,
}

/// What happened to a process.
#[derive(Debug)]
pub(crate) enum Event {
    /// It runs under this process id.
    Started {
        /// Index of the process.
        index: usize,
        /// Its process id.
        pid: u32,
    },
    /// It ended by itself.
    Died {
        /// Index of the process.
        index: usize,
        /// How it ended.
        status: ExitStatus,
        /// When it is started again.
        again_in: Duration,
    },
    /// It ended because the cluster goes on without it, and is not started again.
    Left {
        /// Index of the process.
        index: usize,
    },
    /// It could not be started at all.
    Failed {
        /// Index of the process.
        index: usize,
        /// Why.
        error: anyhow::Error,
    },
}

/// The wait before the next restart, from the last wait and how long the process lived.
fn next_wait(last: Option<Duration>, lived: Duration) -> Duration {
    match last {
        Some(last) if lived < SETTLED => (last * 2).min(LONGEST_WAIT),
        _ => FIRST_WAIT,
    }
}

/// Keeps a process running until `stop` turns true, or until the cluster goes on without it.
pub(crate) async fn keep(
    index: usize,
    spec: Spec,
    events: mpsc::Sender<Event>,
    mut stop: watch::Receiver<bool>,
) {
    let mut wait = None;
    while !*stop.borrow() {
        let started = Instant::now();
        let mut child = match start(&spec) {
            Ok(child) => child,
            Err(error) => {
                // A receiver that is gone has no more use for events.
                let _ = events.send(Event::Failed { index, error }).await;
                return;
            }
        };
        let _ = events.send(Event::Started { index, pid: child.id().unwrap_or(0) }).await;
        let status = tokio::select! {
            status = child.wait() => status,
            () = told(&mut stop) => return end(child).await,
        };
        if status.as_ref().is_ok_and(|status| status.code() == Some(i32::from(NO_MEMBER))) {
            let _ = events.send(Event::Left { index }).await;
            return;
        }
        let again_in = next_wait(wait, started.elapsed());
        wait = Some(again_in);
        if let Ok(status) = status {
            let _ = events.send(Event::Died { index, status, again_in }).await;
        }
        tokio::select! {
            () = sleep(again_in) => {}
            () = told(&mut stop) => return,
        }
    }
}

/// Waits until `stop` turns true, or until nobody is left who could turn it.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn start(spec: &Spec) -> anyhow::Result<Child> {
    let log = disk::append(&spec.log).with_context(|| format!("opening {}", spec.log.display()))?;
    let errors = log.try_clone().with_context(|| format!("opening {}", spec.log.display()))?;
    Command::new(&spec.program)
        .args(&spec.arguments)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // Its own group: Ctrl-C reaches only the parent, which ends its children in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", spec.name))
}

async fn end(mut child: Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // A process that has just ended needs no signal.
        let _ = kill_process(pid, Signal::TERM);
    }
    if timeout(GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_death_in_a_row_waits_longer_until_the_process_has_settled() {
        let brief = Duration::from_secs(1);
        let first = next_wait(None, brief);
        let second = next_wait(Some(first), brief);
        assert_eq!((first, second), (FIRST_WAIT, FIRST_WAIT * 2));
        assert_eq!(next_wait(Some(LONGEST_WAIT), brief), LONGEST_WAIT);
        assert_eq!(next_wait(Some(LONGEST_WAIT), SETTLED), FIRST_WAIT);
    }
}
