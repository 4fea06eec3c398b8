//! The model that `up` serves: of the catalogue or a file, on this machine's disk before any node asks for it.

use std::path::{Path, PathBuf};

use helixflow_model::ModelSpec;
use helixflow_node::weights::{self, Catalogue, FetchSettings, Progress};
use tokio::sync::watch;

use crate::fetch_bar::FetchBar;

/// Where all nodes of a local cluster find their weights.
pub(crate) fn weights_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("models")
}

/// Finds or fetches the model, with a progress bar.
pub(crate) async fn obtain(wanted: Option<&str>, data_dir: &Path, replicas: u32) -> anyhow::Result<ModelSpec> {
    let (progress, latest) = watch::channel(Progress::default());
    let bar = FetchBar::new(wanted.unwrap_or("model"));
    bar.follow(latest, find_and_fetch(wanted, data_dir, replicas, &progress)).await
}

async fn find_and_fetch(
    wanted: Option<&str>,
    data_dir: &Path,
    replicas: u32,
    progress: &watch::Sender<Progress>,
) -> anyhow::Result<ModelSpec> {
    let catalogue = Catalogue::embedded()?;
    let mut model = match wanted {
        Some(file) if file.ends_with(".gguf") => helixflow_node::describe(Path::new(file), progress).await?,
        Some(id) => catalogue.get(id)?.clone(),
        None => catalogue.get(catalogue.default_model().as_str())?.clone(),
    };
    model.replicas = replicas;
    weights::fetch(&model, &weights_dir(data_dir), &FetchSettings::default(), progress).await?;
    Ok(model)
}
