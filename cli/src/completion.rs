//! `helixflow completion`: a shell's completion script on standard output.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;

/// Which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For instance: helixflow completion bash > /etc/bash_completion.d/helixflow
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    clap_complete::generate(args.shell, &mut Cli::command(), "helixflow", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
