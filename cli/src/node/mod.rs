//! `helixflow node`: the daemon, a look inside a running one, and what one that is gone has left.

mod inspect;
mod release;
mod tree;

use std::process::ExitCode;

use helixflow_node::device::{Sources, read_devices};

use crate::run::{self, DaemonArgs};

/// What to do with nodes.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Run a GPU node until it is told to end
    Run(DaemonArgs),
    /// Show the actors of running nodes: what each does, what waits for it, how often it was started again
    #[command(
        after_help = "The answer comes from the node's HTTP port and asks no actor, so it comes also while one of them hangs.\n\n  helixflow node inspect                                  the nodes of the local cluster\n  helixflow node inspect --endpoint 10.0.0.7:9101 --json  one node, for a script"
    )]
    Inspect(inspect::Args),
    /// Free the clocks that a node which is gone has left set on this machine's GPUs
    ReleaseClocks(release::Args),
    /// Read devices for the node that started this
    #[command(hide = true)]
    ReadDevices,
}

pub(crate) fn run(command: Command, verbose: u8) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::node(&args, verbose),
        Command::Inspect(args) => inspect::run(&args),
        Command::ReleaseClocks(args) => release::run(&args),
        Command::ReadDevices => {
            read_devices(Sources::from_environment())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
