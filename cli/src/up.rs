//! `helixflow up`: a real cluster on this machine, each process on its own, until Ctrl-C.

mod bring_up;
mod configs;
mod example;
mod layout;
mod model;
mod ports;
mod process;
mod progress;
mod supervisor;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use helixflow_env::Env;
use helixflow_env::disk::Lock;
use helixflow_model::Region;

use crate::data_dir::{self, ClusterFile};
use layout::{Layout, Wanted};
use supervisor::Supervisor;

/// Processes that one machine is asked to run, at most.
const MAX_PROCESSES: u16 = 64;

/// The cluster to start.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many coordinators: an odd number outlives the most failures
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_PROCESSES)))]
    coordinators: u16,
    /// How many GPU nodes
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_PROCESSES)))]
    nodes: u16,
    /// Region names, dealt to coordinators and nodes in turn
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', default_value = "local")]
    regions: Vec<Region>,
    /// A model of the catalogue, or a GGUF file [default: the catalogue's default]
    #[arg(long, value_name = "ID|FILE.gguf")]
    model: Option<String>,
    /// Where the cluster keeps its data; the same directory brings the same cluster back
    #[arg(long, value_name = "DIR", env = "HELIXFLOW_DATA_DIR", default_value_os_t = data_dir::default_path())]
    data_dir: PathBuf,
    /// Threads that compute, for each node [default: cores / nodes, at least 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Do not ask the model for an example
    #[arg(long)]
    no_example: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    // One thread: the children's parent-death signal is bound to the thread that starts them.
    crate::endpoint::runtime()?.block_on(up(args))
}

async fn up(args: Args) -> anyhow::Result<ExitCode> {
    let env = Env::real();
    let _lock = claim(&env, &args.data_dir)?;
    ClusterFile::remove(env.disk.as_ref(), &args.data_dir)?;
    let wanted = Wanted { coordinators: args.coordinators, nodes: args.nodes, regions: args.regions.clone() };
    let layout = Layout::open(&env, &args.data_dir, &wanted).await?;
    ports::check_free(&env, &layout).await?;
    let model = tokio::select! {
        model = model::obtain(args.model.as_deref(), &args.data_dir, u32::from(args.nodes)) => model?,
        _ = tokio::signal::ctrl_c() => bail!("interrupted while the model was fetched; the next start goes on from there"),
    };
    let threads = args.threads.unwrap_or_else(|| default_threads(args.nodes));
    configs::write(&env, &args.data_dir, &layout, threads)?;

    let mut supervisor = Supervisor::new(&env, &args.data_dir, &layout)?;
    let outcome = tokio::select! {
        outcome = bring_up::run(&env, &layout, &model, &mut supervisor) => outcome,
        () = interrupted() => Err(anyhow::anyhow!("interrupted before the cluster was ready")),
    };
    let result = match outcome {
        Ok(()) => serve(&env, &args, &layout, &model.id, &mut supervisor).await,
        Err(error) => Err(error),
    };
    println!("stopping");
    supervisor.stop().await;
    ClusterFile::remove(env.disk.as_ref(), &args.data_dir)?;
    result.map(|()| ExitCode::SUCCESS)
}

/// The cluster is ready: show it, then keep it up until somebody ends it.
async fn serve(
    env: &Env,
    args: &Args,
    layout: &Layout,
    model: &helixflow_model::ModelId,
    supervisor: &mut Supervisor,
) -> anyhow::Result<()> {
    supervisor.record(env, &args.data_dir, layout)?;
    let hello = async {
        if !args.no_example {
            example::show(env, layout, model).await?;
        }
        example::next_steps(layout, model, &args.data_dir);
        std::future::pending::<anyhow::Result<()>>().await
    };
    tokio::select! {
        result = hello => result,
        result = supervisor.watch(env, &args.data_dir, layout) => result,
        () = interrupted() => Ok(()),
    }
}

/// One `up` a data directory.
fn claim(env: &Env, data_dir: &std::path::Path) -> anyhow::Result<Lock> {
    env.disk.create_dir_all(data_dir).with_context(|| format!("making {}", data_dir.display()))?;
    match env.disk.lock(&data_dir.join("lock")) {
        Ok(lock) => Ok(lock),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => bail!(
            "another `helixflow up` runs on {}: end it with Ctrl-C, or name another directory with --data-dir",
            data_dir.display()
        ),
        Err(error) => Err(error).with_context(|| format!("locking {}", data_dir.display())),
    }
}

/// Ctrl-C, or the signal that ends a service.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

fn default_threads(nodes: u16) -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u16::try_from(cores).unwrap_or(u16::MAX).checked_div(nodes).unwrap_or(1).max(1)
}
