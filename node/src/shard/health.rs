//! Health is progress: an engine that works shows it by its counts, one that idles shows it by a canary.

use std::time::Duration;

use helixflow_actors::Fault;
use helixflow_engine::schedule::{Event, Failure, Request, Verdict};
use helixflow_engine::{Engine, Progress, Sink, SubmitError};
use helixflow_model::{Sampling, TokenId};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Without progress for this long, a canary is sent. It costs one step, some hundredths of a second of one core.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a canary may take: a full batch of long prompts on a busy machine comes first.
const CANARY_LIMIT: Duration = Duration::from_secs(30);
/// Tokens of the canary after a load: the first from the prompt, the others from what was generated.
const FIRST_CANARY: u32 = 4;
/// Tokens of a canary in idle times.
const IDLE_CANARY: u32 = 1;

/// An engine that makes no progress.
#[derive(Debug, thiserror::Error)]
enum Sick {
    #[error("the engine has ended")]
    Ended(#[source] Failure),
    #[error("the canary was not taken")]
    Refused(#[source] SubmitError),
    #[error("the canary did not finish within {CANARY_LIMIT:?}")]
    Late,
    #[error("the canary was dropped")]
    Dropped,
}

impl From<Sick> for Fault {
    fn from(sick: Sick) -> Self {
        Self::passing(sick)
    }
}

/// What is known of an engine's progress.
pub(super) struct Health {
    /// What the canary continues.
    token: TokenId,
    seen: Mutex<(Progress, Instant)>,
}

impl Health {
    /// Tries a fresh engine.
    pub(super) async fn try_out(engine: &Engine, token: TokenId) -> Result<Self, Fault> {
        canary(engine, token, FIRST_CANARY).await?;
        Ok(Self { token, seen: Mutex::new((engine.progress(), Instant::now())) })
    }

    /// Fails when the engine has ended, or is silent and does not answer a canary.
    pub(super) async fn check(&self, engine: &Engine) -> Result<(), Fault> {
        if let Some(failure) = engine.failure() {
            return Err(Sick::Ended(failure).into());
        }
        if self.note(engine.progress()) < SILENCE {
            return Ok(());
        }
        canary(engine, self.token, IDLE_CANARY).await?;
        self.note(engine.progress());
        Ok(())
    }

    /// Takes the counts in; the time since they last changed.
    fn note(&self, progress: Progress) -> Duration {
        let mut seen = self.seen.lock();
        if seen.0 != progress {
            *seen = (progress, Instant::now());
        }
        seen.1.elapsed()
    }
}

/// Generates a few tokens and throws them away.
async fn canary(engine: &Engine, token: TokenId, tokens: u32) -> Result<(), Sick> {
    let request = Request {
        prompt: vec![token],
        generated: Vec::new(),
        sampling: Sampling { max_tokens: tokens, ignore_eos: true, ..Sampling::default() },
        seed: 0,
        eos: Vec::new(),
        salt: Default::default(),
        // It has the highest priority: it asks whether the engine works, not whether there is room.
        priority: u8::MAX,
    };
    let (done, end) = oneshot::channel();
    let handle = engine.submit(request, Box::new(Canary(Some(done)))).map_err(Sick::Refused)?;
    let ended = tokio::time::timeout(CANARY_LIMIT, end).await;
    drop(handle);
    match ended {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(failure))) => Err(Sick::Ended(failure)),
        Ok(Err(_)) => Err(Sick::Dropped),
        Err(_) => Err(Sick::Late),
    }
}

/// Waits for the end.
struct Canary(Option<oneshot::Sender<Result<(), Failure>>>);

impl Sink for Canary {
    fn emit(&mut self, event: Event) -> Verdict {
        let outcome = match event {
            Event::End { .. } => Ok(()),
            Event::Failed(failure) => Err(failure),
            Event::Token { .. } | Event::ChoiceEnd { .. } => return Verdict::Continue,
        };
        if let Some(done) = self.0.take() {
            // The one who asked may have stopped waiting.
            let _ = done.send(outcome);
        }
        Verdict::Continue
    }
}
