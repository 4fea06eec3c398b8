//! `helixflow completion`: a shell's completion script on standard output.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{Cli, terminal};

/// Which shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "For this session:  source <(helixflow completion bash)\n\
                        For every one:     helixflow completion bash > ~/.local/share/bash-completion/completions/helixflow")]
pub(crate) struct Args {
    /// The shell that is to complete
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "helixflow", &mut script);
    terminal::write(String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
