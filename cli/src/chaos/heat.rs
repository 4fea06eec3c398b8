//! `helixflow chaos heat`: the heat study, in a simulated fleet. It touches no cluster.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use comfy_table::Table;
use helixflow_chaos::heat::{Options, Scale, Study, make_folders, scenarios, study, write};
use helixflow_env::Env;

use super::progress_bar::Bar;
use crate::{tables, terminal};

/// Threads unless said otherwise: a run needs one, and memory grows with their number.
const MOST_THREADS: usize = 8;

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct HeatArgs {
    /// One scenario, again for more [default: all]
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(scenarios::names()))]
    scenario: Vec<String>,
    /// Seeds of each part
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=1000))]
    seeds: u64,
    /// Half an hour of each scenario's peak on 64 boards: about a minute in all
    #[arg(long)]
    quick: bool,
    /// Threads that run the fleets [default: one a core, at most 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Where the report, its plots and study.json go
    #[arg(long, value_name = "DIR", default_value = "target/heat")]
    output: PathBuf,
    /// Where heat.json goes, the rows in the form of every benchmark [default: the folder of the report]
    #[arg(long, value_name = "DIR")]
    rows: Option<PathBuf>,
    /// Print the study as JSON, which scripts may rely on
    #[arg(long)]
    json: bool,
}

/// Fails when a bar is missed.
pub(crate) fn run(args: &HeatArgs) -> anyhow::Result<ExitCode> {
    let env = Env::real();
    let options = options(args);
    let rows = args.rows.as_ref().unwrap_or(&args.output);
    make_folders(env.disk.as_ref(), &args.output, rows)?;
    let mut bar = Bar::new();
    let made = study(&options, env.disk.as_ref(), &mut |progress| bar.show(progress));
    drop(bar);
    let study = made?;
    write(&study, env.disk.as_ref(), &args.output, rows)?;
    if args.json {
        terminal::line(serde_json::to_string_pretty(&study).context("encoding the study")?)?;
    } else {
        terminal::line(checks(&study))?;
        terminal::line(format_args!(
            "{:.0} s; the report is {}",
            study.wall_seconds,
            args.output.join("report.md").display()
        ))?;
    }
    Ok(if study.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn options(args: &HeatArgs) -> Options {
    let all = || scenarios::names().into_iter().map(str::to_owned).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Options {
        scenarios: if args.scenario.is_empty() { all() } else { args.scenario.clone() },
        seeds: args.seeds,
        scale: if args.quick { Scale::Quick } else { Scale::Full },
        threads: args.threads.map_or(cores.min(MOST_THREADS), usize::from),
    }
}

/// Every bar and goal in a table.
fn checks(study: &Study) -> Table {
    let mut table = tables::table(&["SCENARIO", "PART", "ASKED", "FOUND", ""]);
    for scenario in &study.scenarios {
        for part in &scenario.parts {
            for check in &part.checks {
                let kind = if check.is_bar { "bar" } else { "goal" };
                let verdict = match (part.counts, check.holds) {
                    (false, _) => "does not count",
                    (true, true) => "met",
                    (true, false) => "MISSED",
                };
                table.add_row([
                    scenario.name.clone(),
                    part.key.to_owned(),
                    format!("{kind}: {}", check.what),
                    check.found.clone(),
                    verdict.to_owned(),
                ]);
            }
        }
    }
    table
}
