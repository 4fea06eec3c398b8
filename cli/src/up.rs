//! `helixflow up`: a real cluster on this machine, each process on its own, until Ctrl-C.

mod board;
mod bring_up;
mod configs;
mod example;
mod layout;
mod model;
mod next_steps;
mod ports;
mod process;
mod supervisor;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueHint;
use helixflow_env::Env;
use helixflow_env::disk::Lock;
use helixflow_model::{ModelSpec, Region};
use helixflow_node::Simulated;

use crate::cluster_file::ClusterFile;
use crate::data_dir::{self, DataDir};
use crate::interrupt::Interrupt;
use crate::{INTERRUPTED, endpoint, terminal};
use layout::{Layout, Wanted};
use supervisor::Supervisor;

/// Processes of each kind that one machine is asked to run, at most.
const MAX_PROCESSES: i64 = 64;

/// The cluster to start.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Started again on the same data directory, the cluster comes back with the state it had."
)]
pub(crate) struct Args {
    /// How many coordinators: an odd number outlives the most failures
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=MAX_PROCESSES))]
    coordinators: u16,
    /// How many GPU nodes
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=MAX_PROCESSES))]
    nodes: u16,
    /// Region names, dealt to coordinators and nodes in turn
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', default_value = "local")]
    regions: Vec<Region>,
    /// A model of the catalogue, or a GGUF file [default: the catalogue's default]
    #[arg(long, value_name = "ID|FILE.gguf", value_hint = ValueHint::FilePath)]
    model: Option<String>,
    /// Where the cluster keeps its data; the same directory brings the same cluster back
    #[arg(long, value_name = "DIR", env = "HELIXFLOW_DATA_DIR", value_hint = ValueHint::DirPath, default_value_os_t = data_dir::default_path())]
    data_dir: PathBuf,
    /// Threads that compute, for each node [default: cores / nodes, at least 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// The GPU that stands in where a node has none: h100, a100, l4 or mi300x
    #[arg(long, value_name = "PRODUCT", default_value = "h100")]
    board: String,
    /// Degrees Celsius of the air that simulated boards get; hot air slows them down
    #[arg(long, value_name = "DEGREES", default_value_t = 25.0, allow_negative_numbers = true)]
    inlet: f64,
    /// Do not ask the model for an example
    #[arg(long)]
    no_example: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    // One thread: the children's parent-death signal is bound to the thread that starts them.
    endpoint::runtime()?.block_on(up(args))
}

async fn up(args: Args) -> anyhow::Result<ExitCode> {
    let env = Env::real();
    let mut interrupt = Interrupt::listen()?;
    let dir = DataDir::new(&args.data_dir)?;
    let _lock = claim(&env, &dir)?;
    ClusterFile::remove(env.disk.as_ref(), &dir)?;
    let simulated = simulated(&args)?;
    let wanted = Wanted::new(args.coordinators, args.nodes, args.regions.clone())?;
    let layout = Layout::open(&env, &dir, &wanted).await?;
    ports::check_free(&env, &layout).await?;
    let model = tokio::select! {
        model = model::obtain(args.model.as_deref(), &dir, args.nodes) => model?,
        () = interrupt.requested() => {
            eprintln!("interrupted while the model was fetched; the next start goes on from there");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    let threads = args.threads.unwrap_or_else(|| default_threads(args.nodes));
    configs::write(&env, &dir, &layout, threads, &simulated)?;

    let mut supervisor = Supervisor::new(&env, &dir, &layout)?;
    let outcome = live(&env, &args, &model, &mut supervisor, &mut interrupt).await;
    eprintln!("stopping; Ctrl-C once more does not wait for anybody");
    tokio::select! {
        () = supervisor.stop() => {}
        // Whoever has not ended yet is killed with this process.
        () = interrupt.requested() => {}
    }
    ClusterFile::remove(env.disk.as_ref(), &dir)?;
    outcome
}

/// The cluster's life, from its first process until somebody ends it.
async fn live(
    env: &Env,
    args: &Args,
    model: &ModelSpec,
    supervisor: &mut Supervisor,
    interrupt: &mut Interrupt,
) -> anyhow::Result<ExitCode> {
    let warnings = tokio::select! {
        ready = bring_up::run(env, model, supervisor) => ready?,
        () = interrupt.requested() => {
            eprintln!("interrupted before the cluster was ready");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    supervisor.record()?;
    let layout = supervisor.present();
    let welcome = async {
        if !args.no_example
            && let Err(error) = example::show(env, &layout, &model.id).await
        {
            eprintln!("helixflow: the example failed, and the cluster goes on: {error:#}");
        }
        terminal::write(next_steps::text(&layout, &model.id, &args.data_dir, &warnings)?)?;
        std::future::pending().await
    };
    tokio::select! {
        ended = welcome => ended,
        ended = supervisor.watch() => ended,
        () = interrupt.requested() => Ok(ExitCode::SUCCESS),
    }
}

/// What stands in for GPUs in every node.
fn simulated(args: &Args) -> anyhow::Result<Simulated> {
    let simulated = Simulated { product: args.board.clone(), inlet: args.inlet, ..Simulated::default() };
    simulated.check().map_err(|(key, problem)| {
        let option = if key == "simulated.product" { "--board" } else { "--inlet" };
        anyhow::anyhow!("{option}: {problem}")
    })?;
    Ok(simulated)
}

/// One `up` a data directory.
fn claim(env: &Env, dir: &DataDir) -> anyhow::Result<Lock> {
    let shown = dir.path().display();
    let unusable = || {
        format!("{shown} cannot be used: check its permissions, or name another directory with --data-dir")
    };
    env.disk.create_dir_all(dir.path()).with_context(unusable)?;
    match env.disk.lock(&dir.lock()) {
        Ok(lock) => Ok(lock),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => bail!(
            "another `helixflow up` runs on {shown}: end it with Ctrl-C, or name another directory with --data-dir"
        ),
        Err(error) => Err(error).with_context(unusable),
    }
}

fn default_threads(nodes: u16) -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from(cores).unwrap_or(u16::MAX).checked_div(nodes).unwrap_or(1).clamp(1, 256)
}
