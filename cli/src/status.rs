//! `helixflow status`: what one coordinator knows of the cluster, as tables or as JSON.

mod board;
mod json;
mod notes;
mod recorded;
#[cfg(test)]
pub(crate) mod samples;
mod table;

pub(crate) use board::Board;
pub(crate) use json::{Node, Replica, Status};

use std::process::ExitCode;

use anyhow::Context;

use crate::endpoint::Target;
use crate::terminal;

/// How to show the cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON, which scripts may rely on
    #[arg(long)]
    json: bool,
    /// Wait until a majority of coordinators confirms the answer, instead of what one of them knows
    #[arg(long)]
    confirmed: bool,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let session = args.target.open()?;
    let answer = if args.confirmed {
        session.wait(session.client.confirmed_status())?
    } else {
        session.wait(session.client.status())?
    };
    let status = json::Status::from(answer);
    if args.json {
        terminal::line(serde_json::to_string_pretty(&status).context("encoding the status")?)?;
    } else {
        terminal::write(table::render(&status))?;
    }
    Ok(ExitCode::SUCCESS)
}
