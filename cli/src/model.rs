//! `helixflow model`: the catalogue, and a model's file without a cluster.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use comfy_table::{Table, presets};
use helixflow_model::ModelSpec;
use helixflow_node::weights::{self, Catalogue, FetchSettings, Progress};
use tokio::sync::watch;

use crate::endpoint::runtime;
use crate::fetch_bar::FetchBar;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the models of the catalogue
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model's file, check it and print its path
    Fetch {
        /// The model's id
        id: String,
        /// The folder for the file
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
}

pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    let catalogue = Catalogue::embedded()?;
    match command {
        Command::List { json: true } => {
            println!("{}", serde_json::to_string_pretty(catalogue.models()).context("encoding the catalogue")?);
        }
        Command::List { json: false } => println!("{}", table(catalogue.models())),
        Command::Fetch { id, to } => {
            let path = runtime()?.block_on(fetch(catalogue.get(&id)?, &to))?;
            println!("{}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn fetch(model: &ModelSpec, folder: &std::path::Path) -> anyhow::Result<PathBuf> {
    let (progress, latest) = watch::channel(Progress::default());
    let bar = FetchBar::new(model.id.as_str());
    let settings = FetchSettings::default();
    let fetched = bar.follow(latest, weights::fetch(model, folder, &settings, &progress));
    tokio::select! {
        path = fetched => Ok(weights::link_by_name(model, &path?)?),
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted; the same command goes on from there"),
    }
}

fn table(models: &[ModelSpec]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["model", "version", "architecture", "layers", "context", "file", "memory", "sources"]);
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
