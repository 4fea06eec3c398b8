//! `helixflow model`: the catalogue, and a model's file without a cluster.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueHint;
use comfy_table::Table;
use helixflow_model::ModelSpec;
use helixflow_node::weights::{self, Catalogue, FetchSettings, Progress};
use tokio::sync::watch;

use crate::endpoint::runtime;
use crate::fetch_bar::FetchBar;
use crate::interrupt::Interrupt;
use crate::tables::table;
use crate::{INTERRUPTED, terminal};

/// What to do with models.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the models of the catalogue
    List {
        /// Print JSON, which scripts may rely on
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model's file, check it and print its path
    Fetch {
        /// The model's id, as `helixflow model list` shows it
        id: String,
        /// The folder for the file, made when missing; the file is also linked there as ID.gguf
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        to: PathBuf,
    },
}

pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    let catalogue = Catalogue::embedded()?;
    match command {
        Command::List { json: true } => {
            terminal::line(
                serde_json::to_string_pretty(catalogue.models()).context("encoding the catalogue")?,
            )?;
        }
        Command::List { json: false } => terminal::line(list(catalogue.models()))?,
        Command::Fetch { id, to } => return runtime()?.block_on(fetch(catalogue.get(&id)?, &to)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn fetch(model: &ModelSpec, folder: &Path) -> anyhow::Result<ExitCode> {
    let mut interrupt = Interrupt::listen()?;
    let (progress, latest) = watch::channel(Progress::default());
    let settings = FetchSettings::default();
    let fetched =
        FetchBar::new(model.id.as_str()).follow(latest, weights::fetch(model, folder, &settings, &progress));
    tokio::select! {
        path = fetched => {
            terminal::line(weights::link_by_name(model, &path?)?.display())?;
            Ok(ExitCode::SUCCESS)
        }
        () = interrupt.requested() => {
            eprintln!("interrupted; the same command goes on from there");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

fn list(models: &[ModelSpec]) -> Table {
    let mut table =
        table(&["model", "version", "architecture", "layers", "context", "file", "memory", "sources"]);
    for model in models {
        let sources: Vec<String> = model.sources.iter().map(weights::source_text).collect();
        table.add_row([
            model.id.to_string(),
            model.version.clone(),
            model.architecture.to_string(),
            model.layers.to_string(),
            model.context.to_string(),
            model.size.to_string(),
            model.memory.to_string(),
            sources.join("\n"),
        ]);
    }
    table
}
