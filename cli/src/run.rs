//! `helixflow coordinator run` and `helixflow node run`: the daemons, and what else there is to do with nodes.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueHint;
use helixflow_coordinator::CoordinatorConfig;
use helixflow_env::Env;
use helixflow_node::NodeConfig;
use metrics_exporter_prometheus::PrometheusHandle;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::inspect;
use crate::interrupt::Interrupt;
use crate::telemetry::{self, Service};

/// Done when somebody wants the daemon to end.
type ToldToEnd = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a node does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum NodeCommand {
    /// Run a GPU node until it is told to end
    Run(DaemonArgs),
    /// Show the actors of running nodes: what each does, what waits for it, how often it was started again
    #[command(
        after_help = "The answer comes from the node's HTTP port and asks no actor, so it comes also while one of them hangs.\n\n  helixflow node inspect                                  the nodes of the local cluster\n  helixflow node inspect --endpoint 10.0.0.7:9101 --json  one node, for a script"
    )]
    Inspect(inspect::Args),
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
        NodeCommand::Inspect(args) => {
            telemetry::quiet(verbose)?;
            return inspect::run(&args);
        }
    };
    die_with(args.parent)?;
    let env = Env::real();
    let config = NodeConfig::load(env.disk.as_ref(), &args.config)?;
    // The log allots the node's id later; its address tells it from others until then.
    let instance = config.grpc.advertise.clone().unwrap_or_else(|| config.grpc.listen.to_string());
    let service = Service { name: "helixflow-node", instance, otlp_endpoint: config.otlp_endpoint.clone() };
    daemon(&service, verbose, |metrics, end| helixflow_node::run(config, env, metrics, end))
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
