//! The engine as its users see it: one thread that runs a whole model for many requests.
//!
//! [`Engine::submit`] puts a request into a bounded queue and gives back a handle; everything else comes to the
//! request's [`Sink`]. The thread sleeps while there is nothing to do. If a step fails or panics, every stream ends
//! with [`Event::Failed`], and the engine says so from then on ([`Engine::failure`]); it must be started again.
//!
//! Left out: time. Deadlines are kept by the caller, who cancels; cancelled requests are gone with the next step.

mod inbox;
mod pace;
mod rate;
mod worker;

use std::sync::Arc;
use std::thread::JoinHandle;

use helixflow_model::{LayerRange, LoadReport};
use parking_lot::Mutex;

use crate::compute::Compute;
use crate::schedule::{Bounds, Budget, Event, Failure, Refusal, Request, RequestNumber, Scheduler, Verdict};
use inbox::Inbox;
pub use pace::Pace;
use pace::Unpaced;
use worker::Worker;

/// Sequences that generate side by side, unless said otherwise. Rows of a batch share each load of the weights; past
/// some sixteen the arithmetic costs more than the load, and each stream just gets slower.
const DEFAULT_SEQUENCES: usize = 16;
/// Requests that may wait for a place in the batch. Deeper, and they wait longer than their senders do.
const DEFAULT_QUEUE: usize = 64;
/// Prompt rows in a step in which other sequences generate: about a tenth of a second on two cores.
const DEFAULT_PREFILL_ROWS: usize = 32;

/// How the engine is to behave. Everything is cut down to what the compute side can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Most sequences in the batch.
    pub sequences: usize,
    /// Most requests that wait.
    pub queue: usize,
    /// Most prompt rows of a step in which other sequences generate.
    pub prefill_rows: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { sequences: DEFAULT_SEQUENCES, queue: DEFAULT_QUEUE, prefill_rows: DEFAULT_PREFILL_ROWS }
    }
}

/// Receives what a request produces, on the engine's thread: it must return soon, and never wait.
pub trait Sink: Send {
    /// Takes an event, and says whether to go on.
    fn emit(&mut self, event: Event) -> Verdict;
}

/// Why an engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not every layer is there.
    #[error(
        "this engine needs all {model_layers} layers of the model, but was given {}..{}; load the whole range",
        .layers.first, .layers.end
    )]
    PartOfModel {
        /// Layers given.
        layers: LayerRange,
        /// Layers of the model.
        model_layers: u32,
    },
    /// No KV page, or no row with logits.
    #[error("there is no memory for a single sequence; give the KV cache more pages")]
    NoMemory,
    /// No thread could be started.
    #[error("cannot start the engine's thread; raise the limit of processes (`ulimit -u`)")]
    Thread(#[source] std::io::Error),
}

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue has reached its bound.
    #[error("{waiting} requests wait already, of {bound} that may; try again later or at another replica")]
    QueueFull {
        /// Requests that wait.
        waiting: usize,
        /// Most that may.
        bound: usize,
    },
    /// It can never run.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The engine has ended.
    #[error("the engine has ended: {0}")]
    Ended(#[source] Failure),
}

/// Counts that rise while the engine does its work: health is progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Batches computed.
    pub steps: u64,
    /// Tokens generated.
    pub tokens: u64,
}

/// A submitted request. Dropping it cancels the request, unless that is over.
#[derive(Debug)]
#[must_use = "dropping the handle cancels the request"]
pub struct RequestHandle {
    number: RequestNumber,
    inbox: Arc<Inbox>,
}

impl RequestHandle {
    /// Ends the request with [`Failure::Cancelled`] within one step. Does nothing if it is over.
    pub fn cancel(&self) {
        self.inbox.cancel(self.number);
    }
}

impl Drop for RequestHandle {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// One thread that runs a whole model.
#[derive(Debug)]
pub struct Engine {
    inbox: Arc<Inbox>,
    bounds: Bounds,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Starts the thread. `compute` must hold every layer of its model.
    pub fn start(compute: Box<dyn Compute>, options: &EngineOptions) -> Result<Self, StartError> {
        Self::start_paced(compute, options, Box::new(Unpaced))
    }

    /// Starts the thread, which rests as long after each step as `pace` says.
    pub fn start_paced(
        compute: Box<dyn Compute>,
        options: &EngineOptions,
        pace: Box<dyn Pace>,
    ) -> Result<Self, StartError> {
        let (shape, limits) = (compute.shape(), compute.limits());
        let (layers, model_layers) = (shape.layers, shape.model_layers);
        if layers != (LayerRange { first: 0, end: model_layers }) {
            return Err(StartError::PartOfModel { layers, model_layers });
        }
        if limits.pages == 0 || limits.rows == 0 || limits.logit_rows == 0 {
            return Err(StartError::NoMemory);
        }
        let bounds = Bounds::new(shape, limits);
        let budget = Budget::new(limits, options.sequences, options.prefill_rows);
        let inbox = Arc::new(Inbox::new(options.queue.max(1), limits.pages));
        let worker = Worker::new(Arc::clone(&inbox), compute, Scheduler::new(bounds, budget), pace);
        let thread = worker::spawn(worker).map_err(StartError::Thread)?;
        Ok(Self { inbox, bounds, thread: Mutex::new(Some(thread)) })
    }

    /// Puts a request into the queue; its news go to `sink`.
    pub fn submit(&self, request: Request, sink: Box<dyn Sink>) -> Result<RequestHandle, SubmitError> {
        self.bounds.check(&request)?;
        let number = self.inbox.submit(request, sink)?;
        Ok(RequestHandle { number, inbox: Arc::clone(&self.inbox) })
    }

    /// What requests must keep to.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// How busy it is, as of the last step. The speed is that of the time in which it worked and rested for its pace, so
    /// that an idle engine tells how fast it would be.
    pub fn load(&self) -> LoadReport {
        self.inbox.load()
    }

    /// What it has done since its start.
    pub fn progress(&self) -> Progress {
        self.inbox.progress()
    }

    /// Why it has ended, if it has.
    pub fn failure(&self) -> Option<Failure> {
        self.inbox.failure()
    }

    /// Ends every stream with [`Failure::ShutDown`] and waits for the thread, at most one step. Not to be called from
    /// a [`Sink`].
    pub fn shutdown(&self) {
        self.inbox.shut_down();
        if let Some(thread) = self.thread.lock().take() {
            // The worker catches its own panics, so there is nothing to learn from the result.
            drop(thread.join());
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shutdown();
    }
}
