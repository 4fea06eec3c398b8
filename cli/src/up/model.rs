//! The model that `up` serves: of the catalogue or a file, on this machine's disk before any node asks for it.

use std::path::Path;

use helixflow_model::ModelSpec;
use helixflow_node::weights::{self, Catalogue, FetchSettings, Progress};
use tokio::sync::watch;

use crate::data_dir::DataDir;
use crate::fetch_bar::FetchBar;

/// Finds or fetches the model, one replica for each node, and shows how that goes on.
pub(crate) async fn obtain(wanted: Option<&str>, dir: &DataDir, nodes: u16) -> anyhow::Result<ModelSpec> {
    let catalogue = Catalogue::embedded()?;
    let mut model = match wanted {
        Some(file) if file.ends_with(".gguf") => describe(Path::new(file)).await?,
        Some(id) => catalogue.get(id)?.clone(),
        None => catalogue.get(catalogue.default_model().as_str())?.clone(),
    };
    model.replicas = u32::from(nodes);
    let (progress, latest) = watch::channel(Progress::default());
    let (folder, settings) = (dir.models(), FetchSettings::default());
    FetchBar::new(model.id.as_str())
        .follow(latest, weights::fetch(&model, &folder, &settings, &progress))
        .await?;
    Ok(model)
}

async fn describe(file: &Path) -> anyhow::Result<ModelSpec> {
    let (progress, latest) = watch::channel(Progress::default());
    let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(FetchBar::new(&name).follow(latest, helixflow_node::describe(file, &progress)).await?)
}
