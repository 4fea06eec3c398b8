//! The shard actor: fetches, loads, checks and drains one replica part.
//!
//! It decides nothing: what fails ends it with a [`crate::Fault`], and the supervisor, which keeps the part's life,
//! starts another. While it fetches and loads it takes no message, and is ended by killing it.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use helixflow_control::Assignment;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::host::{Host, Notes, Replica};
use crate::mailbox::{Letter, Mailbox};
use crate::supervisor::SupervisorMessage;
use crate::tree::Station;

/// A lost engine is noticed within this time even when nobody sends it a request.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Runs one part on a host of type `H`.
pub(crate) struct Shard<H>(PhantomData<fn() -> H>);

impl<H> Shard<H> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

pub(crate) enum ShardMessage {
    /// Fetch and load, then serve.
    Run,
    /// See that it still makes progress.
    Check,
    /// Finish what runs, then end.
    Drain,
}

pub(crate) struct ShardState<H: Host> {
    pub(crate) host: Arc<H>,
    pub(crate) assignment: Arc<Assignment>,
    pub(crate) notes: Notes,
    pub(crate) supervisor: Mailbox<SupervisorMessage<H::Replica>>,
    pub(crate) station: Station,
    pub(crate) replica: Option<Arc<H::Replica>>,
}

impl<H: Host> Actor for Shard<H> {
    type Msg = Letter<ShardMessage>;
    type State = ShardState<H>;
    type Arguments = ShardState<H>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: ShardState<H>,
    ) -> Result<ShardState<H>, ActorProcessingErr> {
        myself.cast(state.station.mailbox.letter(ShardMessage::Run))?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        letter: Self::Msg,
        state: &mut ShardState<H>,
    ) -> Result<(), ActorProcessingErr> {
        match letter.open() {
            ShardMessage::Run => state.bring_to_life().await?,
            ShardMessage::Check => state.check().await?,
            ShardMessage::Drain => {
                if let Some(replica) = &state.replica {
                    replica.drained().await;
                }
                myself.stop(None);
                return Ok(());
            }
        }
        let mailbox = state.station.mailbox.clone();
        myself.send_after(CHECK_EVERY, move || mailbox.letter(ShardMessage::Check));
        Ok(())
    }
}

impl<H: Host> ShardState<H> {
    async fn bring_to_life(&mut self) -> Result<(), ActorProcessingErr> {
        let fence = self.assignment.fence();
        let weights = self.host.fetch(&self.assignment, &self.notes).await?;
        self.supervisor.send(SupervisorMessage::Fetched(fence))?;
        let replica = Arc::new(self.host.load(&self.assignment, weights, &self.notes).await?);
        self.replica = Some(Arc::clone(&replica));
        self.supervisor.send(SupervisorMessage::Loaded(fence, replica))?;
        Ok(())
    }

    async fn check(&self) -> Result<(), ActorProcessingErr> {
        match &self.replica {
            Some(replica) => Ok(replica.check().await?),
            None => Ok(()),
        }
    }
}
