//! `helixflow status`: what one coordinator knows of the cluster, as tables or as JSON.

mod json;
mod table;

use std::process::ExitCode;

use anyhow::Context;
use helixflow_env::Env;

use crate::endpoint::{Target, runtime};

/// How to show the cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON, which scripts may rely on
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let client = args.target.client(&Env::real())?;
    let status = json::Status::from(runtime()?.block_on(client.status())?);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&status).context("encoding the status")?);
    } else {
        print!("{}", table::render(&status));
    }
    Ok(ExitCode::SUCCESS)
}
