//! The one binary `helixflow`: its daemons, and the commands of those who use and run a cluster.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks on its terminal")]

mod chat;
mod completion;
mod data_dir;
mod endpoint;
mod fetch_bar;
mod generate;
mod model;
mod run;
mod status;
mod telemetry;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// One inference service from a fleet of GPU machines.
#[derive(Debug, Parser)]
#[command(name = "helixflow", version, about, max_term_width = 110)]
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
    /// Models: the catalogue and the files
    Model {
        #[command(subcommand)]
        command: model::Command,
    },
    /// The coordinator daemon
    Coordinator {
        #[command(subcommand)]
        command: run::CoordinatorCommand,
    },
    /// The GPU node daemon
    Node {
        #[command(subcommand)]
        command: run::NodeCommand,
    },
    /// Print a shell's completion script
    Completion(completion::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Up(args) => telemetry::quiet(cli.verbose).and_then(|()| up::run(args)),
        Command::Generate(args) => telemetry::quiet(cli.verbose).and_then(|()| generate::run(args)),
        Command::Chat(args) => telemetry::quiet(cli.verbose).and_then(|()| chat::run(args)),
        Command::Status(args) => telemetry::quiet(cli.verbose).and_then(|()| status::run(&args)),
        Command::Model { command } => telemetry::quiet(cli.verbose).and_then(|()| model::run(command)),
        Command::Coordinator { command } => run::coordinator(command, cli.verbose),
        Command::Node { command } => run::node(command, cli.verbose),
        Command::Completion(args) => completion::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("helixflow: {error:#}");
            ExitCode::FAILURE
        }
    }
}
