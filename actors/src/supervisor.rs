//! The supervisor: obeys the cluster's orders, keeps the lives of the replica parts, restarts what fails.
//!
//! Decisions are those of `helixflow-control`; here they are written down, carried out and made visible in the roster.
//! Ending a supervisor kills its children, so whatever makes it end, its shards are drained before, and then its boards
//! let their clocks go; links, telemetry and membership hold nothing that needs undoing.

mod parts;
mod services;
mod unwritten;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use helixflow_control::{Accepted, Action, Change, Cure, Event};
use helixflow_model::{Epoch, Fence};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::host::{Fault, Host};
use crate::ledger::{Ledger, LedgerError, Record};
use crate::mailbox::{Letter, Mailbox};
use crate::membership::News;
use crate::shard::{Shard, ShardState};
use crate::telemetry::TelemetryMessage;
use crate::tree::{ActorState, Station};
pub(crate) use parts::Parts;
pub(crate) use services::{Running, Service, Services};
use unwritten::Unwritten;

/// Whoever made room on the disk sees it used within this time, and a disk that is still full is asked too seldom to
/// notice. News of the cluster is tried at once.
const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Supervises a node whose host is of type `H`.
pub(crate) struct Supervisor<H>(std::marker::PhantomData<fn() -> H>);

impl<H> Supervisor<H> {
    pub(crate) const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

pub(crate) enum SupervisorMessage<R> {
    /// The cluster has spoken.
    News(News),
    /// What could not be written down may be tried again.
    WriteAgain,
    /// A part's weights are on the disk.
    Fetched(Fence),
    /// A part is in memory and has generated.
    Loaded(Fence, Arc<R>),
    /// A part's pause before its restart is over.
    PauseOver(Fence),
    /// A service's pause before its restart is over.
    Restart(Service),
    /// Drain everything, then end.
    ShutDown,
}

impl<R> From<Letter<News>> for Letter<SupervisorMessage<R>> {
    fn from(news: Letter<News>) -> Self {
        news.map(SupervisorMessage::News)
    }
}

/// What comes back when the supervisor has ended.
impl<R> TryFrom<Letter<SupervisorMessage<R>>> for Letter<News> {
    type Error = ();
    fn try_from(letter: Letter<SupervisorMessage<R>>) -> Result<Self, ()> {
        letter.try_map(|message| match message {
            SupervisorMessage::News(news) => Some(news),
            _ => None,
        })
    }
}

/// What the supervisor starts with.
pub(crate) struct SupervisorPlan<H: Host> {
    pub(crate) host: Arc<H>,
    pub(crate) ledger: Ledger,
    pub(crate) record: Record,
    pub(crate) parts: Parts<H::Replica>,
    pub(crate) services: Services<H::Replica>,
    pub(crate) station: Station,
}

pub(crate) struct SupervisorState<H: Host> {
    host: Arc<H>,
    ledger: Ledger,
    /// What the ledger holds; it is what the node obeys.
    record: Record,
    unwritten: Unwritten,
    parts: Parts<H::Replica>,
    services: Services<H::Replica>,
    station: Station,
    closing: bool,
}

impl<H: Host> Actor for Supervisor<H> {
    type Msg = Letter<SupervisorMessage<H::Replica>>;
    type State = SupervisorState<H>;
    type Arguments = SupervisorPlan<H>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        plan: SupervisorPlan<H>,
    ) -> Result<SupervisorState<H>, ActorProcessingErr> {
        let SupervisorPlan { host, ledger, record, parts, services, station } = plan;
        let unwritten = Unwritten::default();
        let mut state =
            SupervisorState { host, ledger, record, unwritten, parts, services, station, closing: false };
        state.services.start_all(&myself, state.record.node).await?;
        // What was accepted before a restart is brought back without waiting for a coordinator.
        let held: Vec<_> = state.record.accepted.assignments.values().cloned().map(Change::Run).collect();
        state.carry_out(&myself, held).await?;
        state.say_whom_it_obeys();
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        letter: Self::Msg,
        state: &mut SupervisorState<H>,
    ) -> Result<(), ActorProcessingErr> {
        match state.take_in(&myself, letter.open()).await {
            Ok(()) => Ok(()),
            Err(error) => state.give_up(&myself, error).await,
        }
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut SupervisorState<H>,
    ) -> Result<(), ActorProcessingErr> {
        let (child, failure) = match event {
            SupervisionEvent::ActorFailed(child, error) => (child.get_id(), Some(error)),
            SupervisionEvent::ActorTerminated(child, _, _) => (child.get_id(), None),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => return Ok(()),
        };
        let outcome = match state.parts.shard_ended(child) {
            Some(fence) => {
                let event = state.parts.why(fence, failure);
                state.live(&myself, fence, event).await
            }
            None => {
                let reason = failure.map_or_else(|| "it ended".to_owned(), |error| error.to_string());
                state.services.ended(&myself, child, &reason).map_err(Into::into)
            }
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => state.give_up(&myself, error).await,
        }
    }
}

/// The supervisor itself, as it is known to what it starts.
type Myself<R> = ActorRef<Letter<SupervisorMessage<R>>>;

impl<H: Host> SupervisorState<H> {
    async fn take_in(
        &mut self,
        myself: &Myself<H::Replica>,
        message: SupervisorMessage<H::Replica>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::News(_) | SupervisorMessage::WriteAgain if self.closing => Ok(()),
            SupervisorMessage::News(news) => {
                match news {
                    News::Joined(node) => self.unwritten.joined(node, self.record.node),
                    News::Part(part) => self.unwritten.told(part),
                }
                self.obey(myself).await
            }
            SupervisorMessage::WriteAgain => {
                self.unwritten.retried();
                self.obey(myself).await
            }
            SupervisorMessage::Fetched(fence) => self.live(myself, fence, Event::Fetched).await,
            SupervisorMessage::Loaded(fence, replica) => {
                self.parts.seat_replica(fence, replica);
                self.live(myself, fence, Event::Loaded).await
            }
            SupervisorMessage::PauseOver(fence) => self.live(myself, fence, Event::PauseOver).await,
            SupervisorMessage::Restart(service) => {
                self.services.start(myself, service, self.record.node).await
            }
            SupervisorMessage::ShutDown => self.shut_down(myself).await,
        }
    }

    /// Obeys what the cluster has told and the disk takes. What it does not take waits; the node goes on as it was.
    async fn obey(&mut self, myself: &Myself<H::Replica>) -> Result<(), ActorProcessingErr> {
        while let Some((record, changes)) = self.unwritten.next(&self.record) {
            if let Err(error) = self.ledger.write(&record) {
                self.put_off(myself, &error);
                return Ok(());
            }
            self.unwritten.written();
            self.adopt(myself, record, changes).await?;
        }
        self.unwritten.settled();
        self.say_whom_it_obeys();
        Ok(())
    }

    /// Does as the record says, which is on the disk.
    async fn adopt(
        &mut self,
        myself: &Myself<H::Replica>,
        record: Record,
        changes: Vec<Change>,
    ) -> Result<(), ActorProcessingErr> {
        let joined = record.node.filter(|_| record.node != self.record.node);
        self.record = record;
        self.services.report_to(myself, self.record.coordinators.clone()).await?;
        if let Some(node) = joined {
            tracing::info!(%node, "joined the cluster");
            self.services.tell(TelemetryMessage::Joined(node));
        }
        self.carry_out(myself, changes).await
    }

    /// Comes back to what could not be written; once, however much was told meanwhile.
    fn put_off(&mut self, myself: &Myself<H::Replica>, error: &LedgerError) {
        self.unwritten.refused(error);
        self.say_whom_it_obeys();
        if self.unwritten.needs_a_retry() {
            let mailbox = self.station.mailbox.clone();
            myself.send_after(WRITE_AGAIN_AFTER, move || mailbox.letter(SupervisorMessage::WriteAgain));
        }
    }

    async fn carry_out(
        &mut self,
        myself: &Myself<H::Replica>,
        changes: Vec<Change>,
    ) -> Result<(), ActorProcessingErr> {
        for change in changes {
            if let Some((fence, event)) = self.parts.change(change) {
                self.live(myself, fence, event).await?;
            }
        }
        Ok(())
    }

    /// Takes an event into a part's life, does what follows from it, and makes the new phase known.
    async fn live(
        &mut self,
        myself: &Myself<H::Replica>,
        fence: Fence,
        event: Event,
    ) -> Result<(), ActorProcessingErr> {
        let mut next = Some((fence, event));
        while let Some((fence, event)) = next.take() {
            match self.parts.step(fence, event) {
                Some(Action::Start) => self.start_shard(myself, fence).await?,
                Some(Action::Drain) => self.parts.drain_shard(fence),
                Some(Action::Kill) => self.parts.kill_shard(fence),
                Some(Action::Pause(pause)) => {
                    let mailbox = self.station.mailbox.clone();
                    myself.send_after(pause, move || mailbox.letter(SupervisorMessage::PauseOver(fence)));
                }
                // A newer generation of the replica may have waited for this one to go.
                Some(Action::Forget) => next = self.parts.forget(fence),
                None => {}
            }
        }
        self.services.tell(TelemetryMessage::Changed);
        if self.closing && self.parts.is_empty() {
            self.end(myself).await;
        }
        Ok(())
    }

    async fn start_shard(
        &mut self,
        myself: &Myself<H::Replica>,
        fence: Fence,
    ) -> Result<(), ActorProcessingErr> {
        let Some((assignment, notes)) = self.parts.about(fence) else { return Ok(()) };
        let state = ShardState {
            host: Arc::clone(&self.host),
            assignment,
            notes,
            supervisor: Mailbox::new(myself, &self.station.mailbox),
            station: self.parts.station(fence),
            replica: None,
        };
        let (shard, _) = Shard::<H>::spawn_linked(None, Shard::new(), state, myself.get_cell()).await?;
        let mailbox = Mailbox::new(&shard, &self.parts.station(fence).mailbox);
        self.parts.shard_started(fence, mailbox);
        Ok(())
    }

    async fn shut_down(&mut self, myself: &Myself<H::Replica>) -> Result<(), ActorProcessingErr> {
        self.closing = true;
        self.station.set(ActorState::Draining, "waits for its shards to finish");
        if self.parts.is_empty() {
            self.end(myself).await;
        }
        for fence in self.parts.fences() {
            self.carry_out(myself, vec![Change::Stop(fence)]).await?;
        }
        Ok(())
    }

    /// The node cannot go on. Nobody supervises the supervisor, so its last words go to the log; but what still runs is
    /// drained as in any other shutdown; a second error changes nothing about that.
    async fn give_up(
        &mut self,
        myself: &Myself<H::Replica>,
        error: ActorProcessingErr,
    ) -> Result<(), ActorProcessingErr> {
        tracing::error!(error, "the node cannot go on and ends");
        if self.closing { Ok(()) } else { self.shut_down(myself).await }
    }

    /// The last shard has ended: the boards let their clocks go, then all is over.
    async fn end(&mut self, myself: &Myself<H::Replica>) {
        tracing::info!("every shard has ended");
        self.station.set(ActorState::Draining, "waits for its boards to let their clocks go");
        self.services.stop_boards().await;
        myself.stop(None);
    }

    fn say_whom_it_obeys(&self) {
        if self.closing {
            return;
        }
        let Accepted { incarnation, epoch, .. } = self.record.accepted;
        let obeys = match epoch {
            Epoch(0) => Cow::Borrowed("has had no orders yet"),
            Epoch(epoch) => Cow::Owned(format!("obeys epoch {epoch} of incarnation {}", incarnation.0)),
        };
        self.station.runs(match self.unwritten.refusal() {
            Some(refusal) => Cow::Owned(format!("{obeys}; what the cluster has told since waits: {refusal}")),
            None => obeys,
        });
    }
}

/// What a shard's end says about its part.
fn fault_of(error: &ActorProcessingErr) -> Cure {
    error.downcast_ref::<Fault>().map_or(Cure::Retry, Fault::cure)
}
