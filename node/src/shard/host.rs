//! Brings replica parts to life on this machine: weights to the disk, the model into memory, a first try.

use std::path::{Path, PathBuf};

use helixflow_actors::{Fault, Host, Notes};
use helixflow_control::Assignment;
use helixflow_engine::compute::cpu::{CpuModel, CpuOptions, Hyperparameters, LoadError};
use helixflow_engine::gguf::{GgufError, GgufFile};
use helixflow_engine::{Engine, EngineOptions, Pace, StartError};
use helixflow_model::{Bytes, LayerRange};
use tokio::sync::watch;

use super::replica::ShardReplica;
use super::text::{ModelText, TextError};
use crate::device::{Seat, Seats};
use crate::weights::{self, FetchSettings, Progress, Stage};

/// What this machine gives to a replica.
pub(crate) struct NodeHost {
    pub(crate) weights_dir: PathBuf,
    pub(crate) settings: FetchSettings,
    pub(crate) threads: usize,
    /// None for what the model asks for.
    pub(crate) kv_memory: Option<Bytes>,
    /// The boards that replicas run on.
    pub(crate) seats: Seats,
}

/// A part that this node does not serve.
#[derive(Debug, thiserror::Error)]
#[error(
    "this node runs whole models, and was given layers {first}..{end} of {layers}; place the model on nodes with \
     enough memory for all of it"
)]
struct PartOfModel {
    first: u32,
    end: u32,
    layers: u32,
}

/// A file that is not the model that was ordered.
#[derive(Debug, thiserror::Error)]
#[error(
    "the file has {found} layers, the model's description {ordered}; correct the description and add it again"
)]
struct OtherLayers {
    found: u32,
    ordered: u32,
}

/// The model's file could not be brought into memory.
#[derive(Debug, thiserror::Error)]
enum Unloadable {
    #[error("the model's file cannot be used")]
    File(#[from] GgufError),
    #[error("the model cannot be loaded")]
    Load(#[from] LoadError),
    #[error("the model's text cannot be used")]
    Text(#[from] TextError),
    #[error(transparent)]
    Layers(#[from] OtherLayers),
    #[error("the engine cannot start")]
    Start(#[from] StartError),
    #[error("loading the model panicked; report this with the model's name")]
    Panicked,
}

impl From<Unloadable> for Fault {
    fn from(unloadable: Unloadable) -> Self {
        match unloadable {
            // Memory and threads may be there at another time; a file stays what it is.
            Unloadable::Load(LoadError::Resources { .. })
            | Unloadable::File(GgufError::Io { .. })
            | Unloadable::Start(_)
            | Unloadable::Panicked => Self::passing(unloadable),
            _ => Self::lasting(unloadable),
        }
    }
}

impl Host for NodeHost {
    type Weights = PathBuf;
    type Replica = ShardReplica;

    async fn fetch(&self, assignment: &Assignment, notes: &Notes) -> Result<PathBuf, Fault> {
        let LayerRange { first, end } = assignment.replica.layers;
        let layers = assignment.spec.layers;
        if (first, end) != (0, layers) {
            return Err(Fault::lasting(PartOfModel { first, end, layers }));
        }
        let (progress, latest) = watch::channel(Progress::default());
        let fetch = weights::fetch(&assignment.spec, &self.weights_dir, &self.settings, &progress);
        tokio::select! {
            fetched = fetch => fetched.map_err(Fault::passing),
            () = tell(latest, notes) => std::future::pending().await,
        }
    }

    async fn load(
        &self,
        assignment: &Assignment,
        weights: PathBuf,
        notes: &Notes,
    ) -> Result<ShardReplica, Fault> {
        let (assignment, notes) = (assignment.clone(), notes.clone());
        let (threads, kv_memory) = (self.threads, self.kv_memory);
        let seat = self.seats.take();
        let pace = seat.as_ref().and_then(Seat::pace);
        let ordered = assignment.clone();
        #[expect(
            clippy::disallowed_methods,
            reason = "reads a whole model into memory; simulation has a model of the engine instead"
        )]
        let loading =
            tokio::task::spawn_blocking(move || load(&weights, &ordered, threads, kv_memory, pace, &notes));
        let (engine, text) = loading.await.map_err(|_| Unloadable::Panicked)??;
        ShardReplica::try_out(assignment, engine, text, seat).await
    }
}

/// Says in the notes where the fetch stands, until it is dropped with it.
async fn tell(mut latest: watch::Receiver<Progress>, notes: &Notes) {
    while latest.changed().await.is_ok() {
        let Progress { stage, done, total } = *latest.borrow_and_update();
        let doing = match stage {
            Stage::Starting | Stage::Ready => continue,
            Stage::Waiting => "waiting for another process that fetches the weights",
            Stage::Checking => "checking the weights",
            Stage::Downloading => "downloading the weights",
            Stage::Unpacking => "unpacking the weights",
            Stage::Copying => "copying the weights",
        };
        notes.say(format!("{doing}: {done} of {total}"));
    }
}

/// Reads a model's file into a running engine.
fn load(
    path: &Path,
    assignment: &Assignment,
    threads: usize,
    kv_memory: Option<Bytes>,
    pace: Option<Box<dyn Pace>>,
    notes: &Notes,
) -> Result<(Engine, ModelText), Unloadable> {
    let spec = &assignment.spec;
    let file = GgufFile::open(path)?;
    let hyper = Hyperparameters::read(&file)?;
    if hyper.layers != spec.layers {
        return Err(OtherLayers { found: hyper.layers, ordered: spec.layers }.into());
    }
    let text = ModelText::read(file.metadata())?;
    let memory = kv_memory.unwrap_or(Bytes(spec.memory.0.saturating_sub(spec.size.0)));
    let pages = pages(&hyper, memory);
    let options = CpuOptions { threads, pages, ..CpuOptions::default() };
    let mut progress =
        |done, total| notes.say(format!("loading the weights: {} of {}", Bytes(done), Bytes(total)));
    let model = CpuModel::load(&file, hyper.all_layers(), &options, &mut progress)?;
    notes.say("trying the model");
    let (model, options) = (Box::new(model), EngineOptions::default());
    let engine = match pace {
        Some(pace) => Engine::start_paced(model, &options, pace)?,
        None => Engine::start(model, &options)?,
    };
    Ok((engine, text))
}

/// KV pages that fit into the memory; at least one, since a replica without any serves nobody.
fn pages(hyper: &Hyperparameters, memory: Bytes) -> usize {
    let page = hyper.page_bytes(hyper.all_layers()).max(1);
    (usize::try_from(memory.0).unwrap_or(usize::MAX) / page).max(1)
}
