//! `helixflow chaos`: experiments on a local cluster or in a simulated fleet, and nothing else. There is no way to name a
//! remote endpoint.

mod heat;
mod progress_bar;
mod started;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use helixflow_chaos::Report;
use helixflow_chaos::experiments::{KillEach, kill_each};
use helixflow_chaos::target::LocalCluster;
use helixflow_env::Env;

use crate::endpoint::runtime;
use crate::terminal;
use progress_bar::Bar;
use started::StartedCluster;

/// Which experiment.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Kill each process of a local cluster in turn while requests run; fails when a promise is broken
    KillEach(KillEachArgs),
    /// Compare policies on hot days of a simulated fleet; fails when a bar is missed
    Heat(heat::HeatArgs),
}

/// How to run it.
#[derive(Debug, clap::Args)]
pub(crate) struct KillEachArgs {
    /// The data directory of the local cluster whose processes are killed; experiments have no default one
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Start a cluster in that directory first, and end it afterwards
    #[arg(long)]
    start: bool,
    /// The model of the cluster to start [default: the catalogue's default]
    #[arg(long, value_name = "ID|FILE.gguf", requires = "start")]
    model: Option<String>,
    /// How often each process is killed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// How many clients ask meanwhile, each for one answer at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    clients: u16,
    /// The seed of their prompts
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print the report as JSON, which scripts may rely on
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::KillEach(args) => run_kill_each(&args),
        Command::Heat(args) => heat::run(&args),
    }
}

fn run_kill_each(args: &KillEachArgs) -> anyhow::Result<ExitCode> {
    let report = runtime()?.block_on(kill_each_process(args))?;
    if args.json {
        terminal::line(serde_json::to_string_pretty(&report).context("encoding the report")?)?;
    } else {
        terminal::write(&report)?;
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn kill_each_process(args: &KillEachArgs) -> anyhow::Result<Report> {
    let env = Env::real();
    if !args.start {
        return experiment(&env, &args.data_dir, args).await;
    }
    let started = StartedCluster::start(&env, &args.data_dir, args.model.as_deref()).await?;
    let report = experiment(&env, &args.data_dir, args).await;
    started.stop().await?;
    report
}

async fn experiment(env: &Env, data_dir: &Path, args: &KillEachArgs) -> anyhow::Result<Report> {
    let cluster = LocalCluster::open(env, data_dir)?;
    let KillEachArgs { rounds, clients, seed, .. } = *args;
    let plan = kill_each(&cluster.processes()?, KillEach { rounds, clients, seed });
    let mut bar = Bar::new();
    let history = helixflow_chaos::run(&cluster, &plan, &mut |progress| bar.show(progress)).await;
    drop(bar);
    Ok(Report::new(&plan, &history?))
}
