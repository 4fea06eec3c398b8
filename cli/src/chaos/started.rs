//! A cluster of an experiment's own: `helixflow up` in its data directory, ended with the experiment.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use helixflow_chaos::target::LocalCluster;
use helixflow_env::{Env, disk};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How often it is looked at.
const POLL: Duration = Duration::from_millis(100);
/// How long it may take to be ready, the fetching of a model over a slow line included.
const START_LIMIT: Duration = Duration::from_secs(1800);
/// How long it may take to end: it ends its nodes first, then its coordinators.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A running `helixflow up`; dropping it kills it, and its processes with it.
pub(super) struct StartedCluster {
    up: Child,
}

impl StartedCluster {
    /// Starts it and waits until it is ready. What it prints goes to `up.log` in the data directory.
    pub(super) async fn start(env: &Env, data_dir: &Path, model: Option<&str>) -> anyhow::Result<Self> {
        if LocalCluster::open(env, data_dir).is_ok() {
            bail!(
                "a cluster runs in {} already: leave out --start, or end it with Ctrl-C",
                data_dir.display()
            );
        }
        env.disk.create_dir_all(data_dir).with_context(|| format!("making {}", data_dir.display()))?;
        let log = data_dir.join("up.log");
        let output = disk::append(&log).with_context(|| format!("opening {}", log.display()))?;
        let errors = output.try_clone().with_context(|| format!("opening {}", log.display()))?;
        let program = std::env::current_exe().context("finding this program's own file")?;
        let mut command = Command::new(program);
        command.args(["up", "--no-example", "--data-dir"]).arg(data_dir);
        command.args(model.into_iter().flat_map(|model| ["--model", model]));
        command.stdin(Stdio::null()).stdout(output).stderr(errors).kill_on_drop(true);
        let mut up = command.spawn().context("starting `helixflow up`")?;
        tokio::select! {
            ended = up.wait() => {
                let status = ended.context("waiting for `helixflow up`")?;
                bail!("`helixflow up` ended with {status}: {} says why", log.display());
            }
            ready = timeout(START_LIMIT, is_ready(env, data_dir)) => {
                ready.with_context(|| format!("`helixflow up` is not ready: {} may say why", log.display()))?;
            }
        }
        Ok(Self { up })
    }

    /// Ends it as Ctrl-C does.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.up.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            kill_process(pid, Signal::INT).context("ending `helixflow up`")?;
        }
        let ended = timeout(STOP_LIMIT, self.up.wait()).await;
        ended
            .context("`helixflow up` did not end in time and is killed")?
            .context("waiting for `helixflow up`")?;
        Ok(())
    }
}

/// Waits until the record names processes that run.
async fn is_ready(env: &Env, data_dir: &Path) {
    while LocalCluster::open(env, data_dir).is_err() {
        sleep(POLL).await;
    }
}
