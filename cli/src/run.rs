//! `helixflow coordinator run` and `helixflow node run`: the daemons.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueHint;
use helixflow_coordinator::CoordinatorConfig;
use helixflow_env::Env;
use helixflow_node::NodeConfig;
use helixflow_node::device::{Program, Sources};
use metrics_exporter_prometheus::PrometheusHandle;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::interrupt::Interrupt;
use crate::telemetry::{self, Service};
use crate::terminal;

/// Done when somebody wants the daemon to end.
type ToldToEnd = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a node does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum NodeCommand {
    /// Run a GPU node until it is told to end
    Run(DaemonArgs),
    /// Free the clocks that a node which is gone has left set on this machine's GPUs
    ReleaseClocks(ReleaseArgs),
    /// Read devices for the node that started this
    #[command(hide = true)]
    ReadDevices,
}

/// Options of every daemon.
#[derive(Debug, clap::Args)]
pub(crate) struct DaemonArgs {
    /// The configuration: see cluster-configs/coordinator.toml and node.toml for every key
    #[arg(long, value_name = "FILE.toml", value_hint = ValueHint::FilePath)]
    config: PathBuf,
    /// End when the process with this id, the one that started us, ends
    #[arg(long, hide = true, value_name = "PID")]
    parent: Option<i32>,
}

/// Options of `node release-clocks`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseArgs {
    /// The node's configuration
    #[arg(long, value_name = "FILE.toml", value_hint = ValueHint::FilePath)]
    config: PathBuf,
}

pub(crate) fn coordinator(args: &DaemonArgs, verbose: u8) -> anyhow::Result<ExitCode> {
    die_with(args.parent)?;
    let env = Env::real();
    let config = CoordinatorConfig::load(env.disk.as_ref(), &args.config)?;
    let instance = config.id.to_string();
    let service =
        Service { name: "helixflow-coordinator", instance, otlp_endpoint: config.otlp_endpoint.clone() };
    daemon(&service, verbose, |metrics, end| helixflow_coordinator::run(config, env, metrics, end))
}

pub(crate) fn node(command: NodeCommand, verbose: u8) -> anyhow::Result<ExitCode> {
    let args = match command {
        NodeCommand::Run(args) => args,
        NodeCommand::ReleaseClocks(args) => return release_clocks(&args, verbose),
        NodeCommand::ReadDevices => {
            helixflow_node::device::read_devices(Sources::from_environment())?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    die_with(args.parent)?;
    let env = Env::real();
    let config = NodeConfig::load(env.disk.as_ref(), &args.config)?;
    // The log allots the node's id later; its address tells it from others until then.
    let instance = config.grpc.advertise.clone().unwrap_or_else(|| config.grpc.listen.to_string());
    let service = Service { name: "helixflow-node", instance, otlp_endpoint: config.otlp_endpoint.clone() };
    let reader = reader()?;
    daemon(&service, verbose, |metrics, end| helixflow_node::run(config, env, Some(reader), metrics, end))
}

fn release_clocks(args: &ReleaseArgs, verbose: u8) -> anyhow::Result<ExitCode> {
    telemetry::quiet(verbose)?;
    let env = Env::real();
    let config = NodeConfig::load(env.disk.as_ref(), &args.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("starting the asynchronous runtime")?;
    let freed = runtime.block_on(helixflow_node::release_clocks(&config, &env, reader()?))?;
    terminal::line(match freed {
        0 => "nothing is set on this machine's GPUs".to_owned(),
        freed => format!("what was set on {freed} GPUs is undone"),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// This same binary, told to read devices.
fn reader() -> anyhow::Result<Program> {
    Program::this_binary(&["node", "read-devices"]).context("finding this program's own file")
}

/// Runs a service until it is told to end.
fn daemon<S, E>(
    service: &Service,
    verbose: u8,
    run: impl FnOnce(PrometheusHandle, ToldToEnd) -> S,
) -> anyhow::Result<ExitCode>
where
    S: Future<Output = Result<(), E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("starting the asynchronous runtime")?;
    let _inside = runtime.enter();
    let mut interrupt = Interrupt::listen()?;
    let told_to_end = Box::pin(async move { interrupt.requested().await });
    let telemetry = telemetry::daemon(service, verbose)?;
    runtime.block_on(run(telemetry.metrics.clone(), told_to_end))?;
    Ok(ExitCode::SUCCESS)
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
