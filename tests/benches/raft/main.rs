//! Measures linearizable writes on three local coordinators beside three members of etcd: throughput, latency, and what
//! the disk alone would do. Prints a table, writes it as JSON, and fails when a bar is missed.
//!
//! Both sides get the same work from the same client: closed-loop writers with a connection each, 256-byte values over
//! 4096 keys, first all at the leader, then spread over all members; no TLS; their own defaults; data on the same
//! filesystem. In every round each row is measured on one side and at once on the other, which waits idle meanwhile; the
//! sides take turns at being first. A ratio is the median of the pairs of a round. Before each pair the disk is measured
//! by itself. What openraft alone writes over the same log, in one process, is measured before and read from a file. Syncs are counted from outside, by strace on every process of a side, in a round of its own, because
//! strace slows what it watches.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark speaks on its terminal and measures real processes on the real machine"
)]

mod cluster;
mod disk;
mod etcd;
mod helixflow;
mod load;
mod plan;
mod syncs;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use helixflow_tests::bench::{Bench, Machine};

use crate::cluster::Cluster;
use crate::plan::{Pair, Plan};

/// Linearizable writes on three local coordinators, beside etcd
#[derive(Debug, Parser)]
struct Options {
    /// Rounds that count; one to warm up goes before them
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds that each side of a row is measured in a round
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// How many writers, a row each
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    writers: Vec<usize>,
    /// The binary `helixflow`, optimised
    #[arg(long)]
    helixflow: PathBuf,
    /// The binary `etcd`; without it nothing is compared
    #[arg(long)]
    etcd: Option<PathBuf>,
    /// A folder for the data of both, on the disk to measure
    #[arg(long)]
    work: PathBuf,
    /// Where the JSON goes
    #[arg(long)]
    output: PathBuf,
    /// What openraft alone writes over the same log: JSON, writes a second by the number of writers
    #[arg(long)]
    bare: Option<PathBuf>,
    /// What cargo adds for benchmarks of its own harness
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    if options.rounds == 0 || options.seconds <= 0.0 {
        bail!("nothing would be measured: give at least one round and some seconds");
    }
    std::fs::create_dir_all(&options.work).context("the folder for the data")?;
    let machine = Machine::here()?;
    let ours = Cluster::helixflow(&options.helixflow, &options.work).await?;
    let theirs = match options.etcd.as_ref().filter(|etcd| etcd.is_file()) {
        Some(etcd) => Some(Cluster::etcd(etcd, &options.work).await?),
        None => {
            println!(
                "NOT MEASURED BESIDE etcd: its binary is not there; `make bench-raft` fetches it from Debian"
            );
            None
        }
    };
    let plan = Plan {
        rounds: options.rounds,
        measured: Duration::from_secs_f64(options.seconds),
        writers: options.writers,
    };
    let peer = theirs.as_ref().zip(options.etcd).map(|(_, etcd)| etcd::version(&etcd)).transpose()?;
    let pair = Pair { ours, theirs, peer, disk: options.work };
    let mut rows = plan.run(&pair).await?;
    if let Some(bare) = &options.bare {
        plan::add_bare(&mut rows, &serde_json::from_slice(&std::fs::read(bare)?)?);
    }
    println!("{}", table::table(&rows));
    let bench = Bench { bench: "raft", machine, rows };
    println!("{}", serde_json::to_string(&bench.machine)?);
    bench.write(&options.output)?;
    let missed = table::missed(&bench.rows);
    missed.iter().for_each(|line| eprintln!("{line}"));
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
