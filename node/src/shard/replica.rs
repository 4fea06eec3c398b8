//! One loaded model: its engine, its text, its health, and the requests that it takes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use helixflow_actors::{Fault, Replica};
use helixflow_control::Assignment;
use helixflow_engine::compute::cpu::NUMERICS_CLASS;
use helixflow_engine::kv::CacheSalt;
use helixflow_engine::schedule::{Refusal, Request};
use helixflow_engine::{Engine, SubmitError};
use helixflow_model::{BoardId, LoadReport, NumericsClass, Sampling, TenantId, TokenId};
use helixflow_proto::context::Priority;
use helixflow_proto::error::{Reason, invalid, invalid_because, status};
use helixflow_proto::v1;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::Status;

use super::choice::Choice;
use super::health::Health;
use super::meter::Meter;
use super::sink::TokenSink;
use super::stream::TokenStream;
use super::text::ModelText;
use crate::device::Seat;

/// How often a drain looks whether the last stream has ended.
const DRAIN_GLANCE: Duration = Duration::from_millis(50);

/// A model that serves.
pub(crate) struct ShardReplica {
    assignment: Assignment,
    engine: Arc<Engine>,
    text: Arc<ModelText>,
    health: Health,
    meter: Meter,
    /// The place on a board; none on a machine without one.
    seat: Option<Seat>,
    /// Told of each request.
    asked: watch::Sender<()>,
}

/// A checked request.
pub(crate) struct Job {
    pub(crate) prompt: Vec<TokenId>,
    pub(crate) generated: Vec<Vec<TokenId>>,
    pub(crate) sampling: Sampling,
    pub(crate) seed: u64,
    pub(crate) tenant: TenantId,
    pub(crate) priority: Priority,
    pub(crate) deadline: Option<Instant>,
    pub(crate) stream_id: String,
    pub(crate) request_id: String,
    pub(crate) render_time_unix_ms: i64,
}

impl ShardReplica {
    /// Tries a fresh engine; what comes back has generated.
    pub(super) async fn try_out(
        assignment: Assignment,
        engine: Engine,
        text: ModelText,
        seat: Option<Seat>,
    ) -> Result<Self, Fault> {
        let first = text.tokenizer.bos().unwrap_or_default();
        let health = Health::try_out(&engine, first).await?;
        let meter = Meter::new(&assignment.spec.id);
        let (engine, text, asked) = (Arc::new(engine), Arc::new(text), watch::Sender::default());
        Ok(Self { assignment, engine, text, health, meter, seat, asked })
    }

    /// Tokenizer and chat template.
    pub(crate) fn text(&self) -> &Arc<ModelText> {
        &self.text
    }

    /// The model's id and version.
    pub(crate) fn model(&self) -> (String, String) {
        let replica = &self.assignment.replica;
        (replica.model.to_string(), replica.version.clone())
    }

    /// Puts a request into the engine's queue; the stream's first message is its start.
    pub(crate) fn submit(&self, job: Job) -> Result<TokenStream, Status> {
        let start = self.start(&job);
        let Job { prompt, generated, sampling, seed, tenant, priority, deadline, .. } = job;
        let choices = self.choices(&sampling, &generated)?;
        let (sender, items) = mpsc::channel(TokenSink::room(&sampling, self.engine.bounds().context));
        let overrun = Arc::new(AtomicBool::new(false));
        let sink = TokenSink::new(choices, sender, Arc::clone(&overrun), self.meter.clone());
        let request = Request {
            prompt,
            generated,
            sampling,
            seed,
            eos: self.text.tokenizer.ends().iter().copied().collect(),
            salt: salt(&tenant),
            priority: rank(priority),
        };
        let running = self.engine.submit(request, Box::new(sink)).map_err(|error| refusal(&error))?;
        self.asked.send_replace(());
        Ok(TokenStream::new(start, items, overrun, deadline, running))
    }

    fn choices(&self, sampling: &Sampling, generated: &[Vec<TokenId>]) -> Result<Vec<Choice>, Status> {
        let choice = |number: u32| {
            let earlier = generated.get(number as usize).map_or(&[][..], Vec::as_slice);
            Choice::new(number, &self.text.tokenizer, sampling, earlier)
        };
        let choices: Result<_, _> = (0..sampling.choices).map(choice).collect();
        choices.map_err(|unknown| invalid("generated", unknown.to_string()))
    }

    fn start(&self, job: &Job) -> v1::StreamStart {
        let fence = self.assignment.fence();
        let (model, model_version) = self.model();
        v1::StreamStart {
            stream_id: job.stream_id.clone(),
            request_id: job.request_id.clone(),
            seed: job.seed,
            model,
            model_version,
            numerics_class: NUMERICS_CLASS.to_owned(),
            prompt_hash: prompt_hash(&job.prompt),
            render_time_unix_ms: job.render_time_unix_ms,
            prompt_tokens: u32::try_from(job.prompt.len()).unwrap_or(u32::MAX),
            replica: fence.replica.0,
            generation: fence.generation.0,
        }
    }
}

impl Replica for ShardReplica {
    fn numerics(&self) -> NumericsClass {
        NumericsClass(NUMERICS_CLASS.to_owned())
    }

    fn load(&self) -> LoadReport {
        self.engine.load()
    }

    fn boards(&self) -> Vec<BoardId> {
        self.seat.iter().map(|seat| seat.board().clone()).collect()
    }

    fn asked(&self) -> watch::Receiver<()> {
        self.asked.subscribe()
    }

    fn progress(&self) -> u64 {
        self.engine.progress().steps
    }

    async fn check(&self) -> Result<(), Fault> {
        self.health.check(&self.engine).await
    }

    async fn drained(&self) {
        let is_busy = |load: LoadReport| load.queued + load.active > 0;
        while is_busy(self.engine.load()) && self.engine.failure().is_none() {
            tokio::time::sleep(DRAIN_GLANCE).await;
        }
    }
}

impl Drop for ShardReplica {
    /// The engine's thread is waited for elsewhere: it may be in the middle of a step.
    fn drop(&mut self) {
        if tokio::runtime::Handle::try_current().is_ok() {
            let engine = Arc::clone(&self.engine);
            #[expect(
                clippy::disallowed_methods,
                reason = "waits for the engine's thread, which stands outside the simulation"
            )]
            tokio::task::spawn_blocking(move || engine.shutdown());
        }
    }
}

/// SHA-256 over the token ids, little-endian.
fn prompt_hash(prompt: &[TokenId]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for token in prompt {
        hash.update(token.0.to_le_bytes());
    }
    hash.finalize().to_vec()
}

/// Keeps each tenant's prefixes to itself.
fn salt(tenant: &TenantId) -> CacheSalt {
    let digest = Sha256::digest(tenant.as_str().as_bytes());
    CacheSalt(digest.iter().take(size_of::<u128>()).fold(0, |salt, byte| (salt << 8) | u128::from(*byte)))
}

const fn rank(priority: Priority) -> u8 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}

/// Why the engine did not take a request, as the caller is told.
fn refusal(error: &SubmitError) -> Status {
    let words = error.to_string();
    match error {
        SubmitError::QueueFull { .. } => status(Reason::QueueFull, words),
        SubmitError::Ended(_) => status(Reason::NoReplica, words),
        SubmitError::Refused(refused) => match refused {
            Refusal::EmptyPrompt => invalid("prompt", words),
            Refusal::PromptTooLong { .. } => invalid_because(Reason::PromptTooLong, "prompt", words),
            Refusal::UnknownToken { .. } => invalid("tokens", words),
            Refusal::WrongContinuation { .. } => invalid("generated", words),
            Refusal::NeverFits { .. } => invalid("max_tokens", words),
            Refusal::Sampling(bad) => invalid(bad.field, words),
        },
    }
}
