//! `helixflow coordinator run` and `helixflow node run`: the daemons.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use helixflow_coordinator::CoordinatorConfig;
use helixflow_env::Env;
use helixflow_node::NodeConfig;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::runtime::Runtime;

use crate::telemetry;

/// What a coordinator does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CoordinatorCommand {
    /// Run a coordinator until it is told to end
    Run(DaemonArgs),
}

/// What a node does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum NodeCommand {
    /// Run a GPU node until it is told to end
    Run(DaemonArgs),
}

/// Options of every daemon.
#[derive(Debug, clap::Args)]
pub(crate) struct DaemonArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE.toml")]
    config: PathBuf,
    /// End when the process with this id, the one that started us, ends
    #[arg(long, hide = true, value_name = "PID")]
    parent: Option<i32>,
}

pub(crate) fn coordinator(command: CoordinatorCommand, verbose: u8) -> anyhow::Result<ExitCode> {
    let CoordinatorCommand::Run(args) = command;
    die_with(args.parent)?;
    let env = Env::real();
    let config = CoordinatorConfig::load(env.disk.as_ref(), &args.config)?;
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let telemetry = telemetry::daemon("coordinator", verbose, config.otlp_endpoint.as_deref())?;
    runtime.block_on(helixflow_coordinator::run(config, env, telemetry.metrics.clone(), told_to_end()))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn node(command: NodeCommand, verbose: u8) -> anyhow::Result<ExitCode> {
    let NodeCommand::Run(args) = command;
    die_with(args.parent)?;
    let env = Env::real();
    let config = NodeConfig::load(env.disk.as_ref(), &args.config)?;
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let telemetry = telemetry::daemon("node", verbose, config.otlp_endpoint.as_deref())?;
    runtime.block_on(helixflow_node::run(config, env, telemetry.metrics.clone(), told_to_end()))?;
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the asynchronous runtime")
}

/// Binds our life to the parent's, also when the parent is killed.
fn die_with(parent: Option<i32>) -> anyhow::Result<()> {
    let Some(parent) = parent else { return Ok(()) };
    set_parent_process_death_signal(Some(Signal::KILL)).context("asking for the parent's death signal")?;
    // The parent may have died before we asked.
    if getppid() != Pid::from_raw(parent) {
        bail!("process {parent}, which started this one, has ended");
    }
    Ok(())
}

/// Ctrl-C, or the signal that systemd sends.
async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        // Without the handler the signal ends the process at once, which is safe: what matters is on disk.
        Err(_) => std::future::pending().await,
    }
}
