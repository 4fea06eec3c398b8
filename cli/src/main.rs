//! The one binary `helixflow`: its daemons, and the commands of those who use and run a cluster.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a coordinator that is no member any more, 130 interrupted, 141 nobody
//! reads the output.
#![expect(clippy::print_stderr, reason = "a command line speaks on its terminal")]

mod chaos;
mod chat;
mod cluster;
mod cluster_file;
mod completion;
mod coordinator;
mod data_dir;
mod endpoint;
mod fetch_bar;
mod generate;
mod interrupt;
mod model;
mod node;
mod run;
mod status;
mod tables;
mod telemetry;
mod terminal;
mod top;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use helixflow_coordinator::CoordinatorError;

use terminal::NobodyReads;

/// The exit code of a coordinator without which the cluster goes on: whoever starts processes leaves it alone.
const NO_MEMBER: u8 = 3;
/// The exit code of a command that the user interrupted: 128 and the signal's number.
const INTERRUPTED: u8 = 130;
/// The exit code of a command whose output nobody reads any more, likewise.
const UNREAD: u8 = 141;

/// One inference service from a fleet of GPU machines.
#[derive(Debug, Parser)]
#[command(
    name = "helixflow",
    version,
    about,
    max_term_width = 110,
    after_help = "Begin with `helixflow up`: it starts a local cluster and shows what to try next."
)]
struct Cli {
    /// Log more: once for information, twice for every detail (the environment's HELIXFLOW_LOG says it finer)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a local cluster: coordinators, GPU nodes and a model
    Up(up::Args),
    /// Continue a prompt and print the text as it comes
    Generate(generate::Args),
    /// Talk with a model
    Chat(chat::Args),
    /// Show the cluster: coordinators, nodes, models, load
    Status(status::Args),
    /// Watch the cluster live: heat, clocks, queues, the leader
    Top(top::Args),
    /// Models: the catalogue and the files
    Model {
        #[command(subcommand)]
        command: model::Command,
    },
    /// The whole state of a cluster: backup and restore
    Cluster {
        #[command(subcommand)]
        command: cluster::Command,
    },
    /// Coordinators: the daemon, and the members of their group
    Coordinator {
        #[command(subcommand)]
        command: coordinator::Command,
    },
    /// GPU nodes: the daemon, and what goes on inside one
    Node {
        #[command(subcommand)]
        command: node::Command,
    },
    /// Experiments on a local cluster or in a simulated fleet, and the promises that must hold
    Chaos {
        #[command(subcommand)]
        command: chaos::Command,
    },
    /// Print a shell's completion script
    Completion(completion::Args),
}

fn main() -> ExitCode {
    let Cli { verbose, command } = Cli::parse();
    match run(command, verbose) {
        Ok(code) => code,
        Err(error) if error.is::<NobodyReads>() => ExitCode::from(UNREAD),
        Err(error) => {
            eprintln!("helixflow: {error:#}");
            let is_no_member =
                error.downcast_ref::<CoordinatorError>().is_some_and(CoordinatorError::is_no_member);
            if is_no_member { ExitCode::from(NO_MEMBER) } else { ExitCode::FAILURE }
        }
    }
}

fn run(command: Command, verbose: u8) -> anyhow::Result<ExitCode> {
    // Daemons start logs of their own kind.
    let is_daemon = matches!(
        command,
        Command::Coordinator { command: coordinator::Command::Run(_) }
            | Command::Node { command: node::Command::Run(_) }
    );
    if !is_daemon {
        telemetry::quiet(verbose)?;
    }
    match command {
        Command::Up(args) => up::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Chat(args) => chat::run(args),
        Command::Status(args) => status::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Model { command } => model::run(command),
        Command::Cluster { command } => cluster::run(command),
        Command::Coordinator { command } => coordinator::run(command, verbose),
        Command::Node { command } => node::run(command, verbose),
        Command::Chaos { command } => chaos::run(command),
        Command::Completion(args) => completion::run(&args),
    }
}
