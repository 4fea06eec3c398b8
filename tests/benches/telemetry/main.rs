//! Measures telemetry at scale: ten thousand simulated nodes, each with a connection of its own, report once a second to
//! one coordinator. Prints a table, writes it as JSON, and fails when a bar is missed.
//!
//! The coordinator is the product's binary with its defaults, a group of one, in which all nodes have joined and serve a
//! replica of one model; the nodes are simulated here, in another process. CPU time is the coordinator's whole, from
//! `/proc`. At each number of nodes it is measured once everything has settled. Then the coordinator is killed and
//! started again, and all nodes come back at once. At last a process like this one runs the coordinator itself over the
//! same data, and picks from its table while the reports come in.
//!
//! What it leaves out: nodes also watch their part of the state, which costs nothing while the state rests.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark speaks on its terminal and measures real processes on the real machine"
)]

mod fleet;
mod picks;
mod process;
mod says;
mod steps;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use helixflow_env::limits::raise_open_files;
use helixflow_tests::bench::{Bench, Machine};

use crate::steps::Plan;

/// Files that are open beside the connections of the nodes.
const OTHER_FILES: u64 = 200;

/// Ten thousand nodes that report to one coordinator
#[derive(Debug, Parser)]
struct Options {
    /// How many nodes, in rising order
    #[arg(long, value_delimiter = ',', default_value = "1000,2500,5000,10000")]
    nodes: Vec<usize>,
    /// Seconds that each number of nodes is measured, and the picks
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// The binary `helixflow`, optimised
    #[arg(long, required_unless_present = "picks")]
    helixflow: Option<PathBuf>,
    /// A folder for the coordinator's data
    #[arg(long, required_unless_present = "picks")]
    work: Option<PathBuf>,
    /// Where the JSON goes
    #[arg(long, required_unless_present = "picks")]
    output: Option<PathBuf>,
    /// Runs the coordinator of this configuration and picks from its table: how the benchmark calls itself
    #[arg(long, hide = true)]
    picks: Option<PathBuf>,
    /// What cargo adds for benchmarks of its own harness
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let measured = Duration::from_secs_f64(options.seconds);
    let most = options.nodes.iter().copied().max().context("at least one number of nodes")?;
    if let Some(config) = &options.picks {
        let picked = picks::measure(config, most, measured).await?;
        println!("{}", serde_json::to_string(&picked)?);
        return Ok(ExitCode::SUCCESS);
    }
    let files = raise_open_files()?;
    ensure!(files > most as u64 + OTHER_FILES, "{files} open files are permitted, too few for {most} nodes");
    let work = options.work.context("a folder for the data")?;
    std::fs::create_dir_all(&work)?;
    let machine = Machine::here()?;
    let binary = options.helixflow.context("a binary")?;
    let figures = Plan { nodes: options.nodes, measured, binary, work }.run().await?;
    eprintln!("{} picks of {} candidates", figures.picked.picks, figures.picked.candidates);
    let rows = table::rows(&figures);
    println!("{}", table::table(&rows));
    let bench = Bench { bench: "telemetry", machine, rows };
    println!("{}", serde_json::to_string(&bench.machine)?);
    bench.write(&options.output.context("where the JSON goes")?)?;
    let missed = table::missed(&bench.rows);
    missed.iter().for_each(|line| eprintln!("{line}"));
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
