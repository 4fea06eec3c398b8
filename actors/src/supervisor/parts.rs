//! The replica parts of a node: their lives, their shards, and the roster that shows them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_control::{Action, Assignment, Backoff, Change, Event, Lifecycle, RestartPolicy, Stage};
use helixflow_model::{Fence, ReplicaId, ReplicaPhase};
use ractor::{ActorId, ActorProcessingErr};
use tokio::sync::watch;

use super::fault_of;
use crate::host::Notes;
use crate::mailbox::Mailbox;
use crate::roster::{Roster, Seat};
use crate::shard::ShardMessage;
use crate::tree::{ActorKind, ActorState, ActorTree, Station};

/// A shard that fails five times in ten minutes will hardly mend itself; until then a short pause is enough.
const SHARD_RESTARTS: RestartPolicy = RestartPolicy {
    most: 5,
    window: Duration::from_secs(600),
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) },
};
/// Streams that take longer to finish are ended, and their clients go on at another replica.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// One replica part.
struct Part {
    life: Lifecycle,
    assignment: Arc<Assignment>,
    notes: Notes,
    shard: Option<Mailbox<ShardMessage>>,
    /// A newer generation, which waits until this one has freed its memory.
    next: Option<Assignment>,
}

/// All parts.
pub(crate) struct Parts<R> {
    parts: BTreeMap<ReplicaId, Part>,
    roster: watch::Sender<Roster<R>>,
    tree: ActorTree,
}

impl<R> Parts<R> {
    pub(crate) const fn new(roster: watch::Sender<Roster<R>>, tree: ActorTree) -> Self {
        Self { parts: BTreeMap::new(), roster, tree }
    }

    /// Where the shard of this part shows what it does. Made where there is none, so asked for only while the part is
    /// here: a station of one that is gone would show an actor that there is not.
    pub(super) fn station(&self, fence: Fence) -> Station {
        self.tree.of(ActorKind::Shard, &name(fence))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn fences(&self) -> Vec<Fence> {
        self.parts.values().map(|part| part.assignment.fence()).collect()
    }

    /// The part, where it is here in this very generation.
    fn part(&self, fence: Fence) -> Option<&Part> {
        self.parts.get(&fence.replica).filter(|part| part.assignment.fence() == fence)
    }

    /// Takes a change in, and says which event follows from it for which part.
    pub(super) fn change(&mut self, change: Change) -> Option<(Fence, Event)> {
        match change {
            Change::Run(assignment) => match self.parts.get_mut(&assignment.fence().replica) {
                Some(older) => {
                    older.next = Some(assignment);
                    Some((older.assignment.fence(), Event::Withdrawn))
                }
                None => Some((self.admit(assignment), Event::Begin)),
            },
            Change::Stop(fence) => {
                let part = self.parts.get_mut(&fence.replica)?;
                part.next = None;
                Some((part.assignment.fence(), Event::Withdrawn))
            }
        }
    }

    fn admit(&mut self, assignment: Assignment) -> Fence {
        let fence = assignment.fence();
        tracing::info!(replica = %fence.replica, generation = %fence.generation, model = %assignment.spec.id, "accepted");
        let part = Part {
            life: Lifecycle::new(SHARD_RESTARTS),
            assignment: Arc::new(assignment),
            notes: Notes::default(),
            shard: None,
            next: None,
        };
        let seat = Seat {
            assignment: Arc::clone(&part.assignment),
            phase: ReplicaPhase::Fetching,
            notes: part.notes.clone(),
            replica: None,
        };
        self.roster.send_modify(|roster| drop(roster.insert(fence.replica, seat)));
        self.station(fence).takes_notes(part.notes.clone());
        self.parts.insert(fence.replica, part);
        fence
    }

    /// Steps a part's life and shows where it now stands. What comes late for a part that is gone changes nothing.
    pub(super) fn step(&mut self, fence: Fence, event: Event) -> Option<Action> {
        self.part(fence)?;
        let station = self.station(fence);
        let part = self.parts.get_mut(&fence.replica)?;
        let action = part.life.step(event, self.tree.began.elapsed());
        station.spends(part.life.budget());
        let (state, doing) = shown(part.life.stage());
        station.set(state, doing);
        let Some(phase) = phase(part.life.stage()) else { return action };
        if phase == ReplicaPhase::Ready {
            part.notes.say("");
        }
        // Ending a replica may take a moment, which must not pass while the roster is locked.
        let mut freed = None;
        self.roster.send_modify(|roster| {
            let Some(seat) = roster.get_mut(&fence.replica) else { return };
            if seat.phase != phase {
                tracing::info!(replica = %fence.replica, generation = %fence.generation, ?phase, "a new phase");
            }
            seat.phase = phase;
            if part.shard.is_none() {
                freed = seat.replica.take();
            }
        });
        drop(freed);
        action
    }

    /// Puts what answers requests into its seat.
    pub(super) fn seat_replica(&self, fence: Fence, replica: Arc<R>) {
        self.roster.send_modify(|roster| {
            if let Some(seat) = roster.get_mut(&fence.replica).filter(|s| s.assignment.fence() == fence) {
                seat.replica = Some(replica);
            }
        });
    }

    pub(super) fn about(&self, fence: Fence) -> Option<(Arc<Assignment>, Notes)> {
        let part = self.part(fence)?;
        Some((Arc::clone(&part.assignment), part.notes.clone()))
    }

    pub(super) fn shard_started(&mut self, fence: Fence, shard: Mailbox<ShardMessage>) {
        if let Some(part) = self.parts.get_mut(&fence.replica) {
            part.shard = Some(shard);
        }
    }

    /// Whose shard has ended, if it was one.
    pub(super) fn shard_ended(&mut self, child: ActorId) -> Option<Fence> {
        let is_its = |part: &&mut Part| part.shard.as_ref().is_some_and(|s| s.actor().get_id() == child);
        let part = self.parts.values_mut().find(is_its)?;
        part.shard = None;
        Some(part.assignment.fence())
    }

    /// Notes why a shard has ended, and says which event that is.
    pub(super) fn why(&self, fence: Fence, failure: Option<ActorProcessingErr>) -> Event {
        let Some(error) = failure else { return Event::Ended };
        tracing::error!(replica = %fence.replica, generation = %fence.generation, %error, "a shard has failed");
        if let Some(part) = self.part(fence) {
            part.notes.say(error.to_string());
        }
        Event::Crashed(fault_of(&error))
    }

    /// Lets the shard finish what it has, within the limit. Streams that still run then are ended with their shard.
    pub(super) fn drain_shard(&self, fence: Fence) {
        let Some(shard) = self.shard(fence) else { return };
        if shard.send(ShardMessage::Drain).is_ok() {
            ractor::time::kill_after(DRAIN_LIMIT, shard.actor());
        }
    }

    pub(super) fn kill_shard(&self, fence: Fence) {
        if let Some(shard) = self.shard(fence) {
            shard.actor().kill();
        }
    }

    fn shard(&self, fence: Fence) -> Option<&Mailbox<ShardMessage>> {
        self.part(fence)?.shard.as_ref()
    }

    /// Drops a part that is gone; a newer generation that waited takes its place.
    pub(super) fn forget(&mut self, fence: Fence) -> Option<(Fence, Event)> {
        self.part(fence)?;
        let part = self.parts.remove(&fence.replica)?;
        self.tree.close(ActorKind::Shard, &name(fence));
        let mut freed = None;
        self.roster.send_modify(|roster| freed = roster.remove(&fence.replica));
        drop(freed);
        part.next.map(|assignment| (self.admit(assignment), Event::Begin))
    }
}

/// A life's stage as coordinators know it; none once it is gone.
const fn phase(stage: Stage) -> Option<ReplicaPhase> {
    match stage {
        // While it pauses, the note says what it waits for.
        Stage::Assigned | Stage::Fetching | Stage::Pausing => Some(ReplicaPhase::Fetching),
        Stage::Loading => Some(ReplicaPhase::Loading),
        Stage::Ready => Some(ReplicaPhase::Ready),
        Stage::Draining => Some(ReplicaPhase::Draining),
        Stage::Failed => Some(ReplicaPhase::Failed),
        Stage::Gone => None,
    }
}

/// What a shard is called in the tree.
fn name(fence: Fence) -> String {
    format!("{} {}", fence.replica, fence.generation)
}

/// A life's stage as the tree shows it.
const fn shown(stage: Stage) -> (ActorState, &'static str) {
    match stage {
        Stage::Assigned => (ActorState::Starting, "waits to begin"),
        Stage::Fetching => (ActorState::Starting, "fetches the weights"),
        Stage::Loading => (ActorState::Starting, "loads the model"),
        Stage::Ready => (ActorState::Running, "serves"),
        Stage::Draining => (ActorState::Draining, "finishes its streams"),
        Stage::Pausing => (ActorState::Pausing, "is started again shortly"),
        Stage::Failed => (ActorState::Failed, "has failed"),
        Stage::Gone => (ActorState::Draining, "is gone"),
    }
}
