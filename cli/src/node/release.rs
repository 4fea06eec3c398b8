//! `helixflow node release-clocks`: undoes what a node that is gone has left set on this machine's GPUs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueHint;
use helixflow_env::Env;
use helixflow_node::NodeConfig;

use crate::run::reader;
use crate::terminal;

/// Options of `node release-clocks`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node's configuration
    #[arg(long, value_name = "FILE.toml", value_hint = ValueHint::FilePath)]
    config: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let env = Env::real();
    let config = NodeConfig::load(env.disk.as_ref(), &args.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("starting the asynchronous runtime")?;
    let freed = runtime.block_on(helixflow_node::release_clocks(&config, &env, reader()?))?;
    terminal::line(match freed {
        0 => "nothing is set on this machine's GPUs".to_owned(),
        1 => "what was set on one GPU is undone".to_owned(),
        freed => format!("what was set on {freed} GPUs is undone"),
    })?;
    Ok(ExitCode::SUCCESS)
}
