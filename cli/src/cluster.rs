//! `helixflow cluster`: its beginning, the whole state in a file, and a new life of the cluster from it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueHint;
use helixflow_coordinator::raft::{Backup, NewLife};
use helixflow_coordinator::{CoordinatorConfig, Offline};
use helixflow_env::Env;
use helixflow_proto::v1::CoordinatorMember;
use indicatif::{ProgressBar, ProgressStyle};

use crate::endpoint::{Target, runtime};
use crate::terminal;

/// Bytes read, of all.
const TEMPLATE: &str = "backup [{bar:30}] {bytes}/{total_bytes}";

/// What to do with a cluster's state.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a new cluster of running coordinators that have no log yet
    #[command(
        after_help = "Once in the life of a cluster: start each coordinator with `helixflow coordinator run`, with an id of its\nown and an empty data_dir, then name them all here, and one of them with --endpoint. A coordinator that has\na log is refused. More are added later, with `helixflow coordinator add`."
    )]
    Bootstrap {
        /// The addresses of their Raft ports; each tells its id, region and other address itself
        #[arg(value_name = "HOST:PORT", required = true, value_parser = crate::endpoint::host_and_port)]
        raft: Vec<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Write the whole state to a file: members, nodes, models, placements, tenants, keys
    #[command(
        after_help = "The state is confirmed by a majority of coordinators before it is read. Weights are no part of it."
    )]
    Backup {
        /// The file; one that is there is replaced once the new one is whole
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Make an empty data directory the first coordinator of a restored cluster
    #[command(
        after_help = "Afterwards start it with `helixflow coordinator run`, and add others with `helixflow coordinator add`.\nThe restored cluster is a new life of the old one: nodes obey it, coordinators of the old one do not."
    )]
    Restore {
        /// The backup
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// The configuration of the coordinator; its data_dir must have no log
        #[arg(long, value_name = "FILE.toml", value_hint = ValueHint::FilePath)]
        config: PathBuf,
    },
}

pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Bootstrap { raft, target } => bootstrap(raft, &target)?,
        Command::Backup { file, target } => backup(&file, &target)?,
        Command::Restore { file, config } => restore(&file, &config)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn bootstrap(raft: Vec<String>, target: &Target) -> anyhow::Result<()> {
    let session = target.open()?;
    for CoordinatorMember { id, region, grpc, raft } in session.wait(session.client.bootstrap(raft))? {
        terminal::line(format_args!("coordinator-{id} in {region}: Raft at {raft}, gRPC at {grpc}"))?;
    }
    terminal::line(format_args!(
        "are one cluster; `helixflow coordinator list` shows who leads. Nodes join by `helixflow node run`."
    ))
}

fn backup(file: &Path, target: &Target) -> anyhow::Result<()> {
    let session = target.open()?;
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let bytes = session.wait(session.client.backup(|read, total| {
        bar.set_length(total);
        bar.set_position(read);
    }))?;
    bar.finish_and_clear();
    let backup = Backup::from_bytes(&bytes).context("checking the backup that came; try again")?;
    let disk = Env::real().disk;
    disk.write_durably(file, &bytes).with_context(|| {
        format!("{} cannot be written: check the folder, its permissions and its room", file.display())
    })?;
    terminal::line(format_args!("{}: {}", file.display(), contents(&backup)))
}

fn restore(file: &Path, config: &Path) -> anyhow::Result<()> {
    let env = Env::real();
    let config = CoordinatorConfig::load(env.disk.as_ref(), config)?;
    let bytes = env.disk.read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let backup = Backup::from_bytes(&bytes).with_context(|| file.display().to_string())?;
    let told = contents(&backup);
    let offline = Offline::open(&config, &env)?;
    let life = runtime()?.block_on(offline.restore(backup))?;
    terminal::line(format_args!("restored {told}"))?;
    tell(&config, &life)
}

/// What a backup holds, in a line.
fn contents(backup: &Backup) -> String {
    let (state, cluster) = (&backup.state, backup.identity().map(|(cluster, _)| cluster.as_str()));
    format!(
        "cluster {}, log index {}, {} coordinators, {} nodes, {} models, {} replicas",
        cluster.unwrap_or("unknown"),
        state.epoch().0,
        state.coordinators().len(),
        state.nodes().len(),
        state.models().len(),
        state.replicas().len()
    )
}

/// What to do once a new life of the cluster was begun.
pub(crate) fn tell(config: &CoordinatorConfig, life: &NewLife) -> anyhow::Result<()> {
    terminal::line(format_args!(
        "{} in {} is the only coordinator of incarnation {}.\n\
         Start it with `helixflow coordinator run`, then add others: ids from {}, empty data directories.",
        config.id,
        config.data_dir.display(),
        life.incarnation.0,
        life.next.0
    ))
}
