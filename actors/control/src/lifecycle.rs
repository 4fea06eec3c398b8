//! The life of one replica part on its node, as a state machine: events in, at most one action out.
//!
//! It is kept by the supervisor, since it outlives the shard that fetches, loads and serves. Every event is legal in
//! every stage; one that comes too late to matter changes nothing.

use std::time::Duration;

use crate::{Restart, RestartBudget, RestartPolicy};

/// Where a replica part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Accepted, nothing started.
    Assigned,
    /// A shard fetches and checks the weights.
    Fetching,
    /// The shard reads the weights into memory and tries them.
    Loading,
    /// The shard answers requests.
    Ready,
    /// The shard finishes what it has, or is being ended.
    Draining,
    /// No shard runs; it is started again after a short pause.
    Pausing,
    /// No shard runs: it failed too often, or in a way that trying again does not mend.
    Failed,
    /// Nothing of it is left.
    Gone,
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// It may: a network, a crash.
    Retry,
    /// It cannot: the assignment itself asks for what this node does not do.
    None,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The part may begin.
    Begin,
    /// The weights lie on the disk, checked.
    Fetched,
    /// The model is in memory and has generated.
    Loaded,
    /// The shard failed or panicked.
    Crashed(Cure),
    /// The pause before a restart is over.
    PauseOver,
    /// The node is no longer to run this.
    Withdrawn,
    /// The shard ended as it was told to.
    Ended,
}

/// What the supervisor is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a shard.
    Start,
    /// Let the shard finish its streams and end.
    Drain,
    /// End the shard at once: it serves nobody yet.
    Kill,
    /// Come back with [`Event::PauseOver`] after this time.
    Pause(Duration),
    /// Drop the record of it.
    Forget,
}

/// One replica part's life.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    stage: Stage,
    /// Whether a pause runs that ends in a restart.
    restarts: bool,
    budget: RestartBudget,
}

impl Lifecycle {
    /// A part that was just accepted.
    pub const fn new(policy: RestartPolicy) -> Self {
        Self { stage: Stage::Assigned, restarts: false, budget: RestartBudget::new(policy) }
    }

    /// Where it stands.
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Its restarts.
    pub const fn budget(&self) -> &RestartBudget {
        &self.budget
    }

    /// Takes in an event at `now`, the time since the process began.
    pub fn step(&mut self, event: Event, now: Duration) -> Option<Action> {
        match (self.stage, event) {
            (Stage::Assigned, Event::Begin) => self.go(Stage::Fetching, Action::Start),
            (Stage::Pausing | Stage::Failed, Event::PauseOver) if self.restarts => {
                self.restarts = false;
                self.go(Stage::Fetching, Action::Start)
            }
            (Stage::Fetching, Event::Fetched) => self.pass_to(Stage::Loading),
            (Stage::Loading, Event::Loaded) => self.pass_to(Stage::Ready),
            (Stage::Fetching | Stage::Loading | Stage::Ready, Event::Crashed(cure)) => self.crash(cure, now),
            // A shard that ends although nobody told it to has failed.
            (Stage::Fetching | Stage::Loading | Stage::Ready, Event::Ended) => self.crash(Cure::Retry, now),
            (Stage::Ready, Event::Withdrawn) => self.go(Stage::Draining, Action::Drain),
            (Stage::Fetching | Stage::Loading, Event::Withdrawn) => self.go(Stage::Draining, Action::Kill),
            (Stage::Assigned | Stage::Pausing | Stage::Failed, Event::Withdrawn)
            | (Stage::Draining, Event::Ended | Event::Crashed(_)) => self.go(Stage::Gone, Action::Forget),
            _ => None,
        }
    }

    fn crash(&mut self, cure: Cure, now: Duration) -> Option<Action> {
        if cure == Cure::None {
            return self.pass_to(Stage::Failed);
        }
        self.restarts = true;
        match self.budget.decide(now) {
            Restart::After(pause) => self.go(Stage::Pausing, Action::Pause(pause)),
            Restart::Spent(rest) => self.go(Stage::Failed, Action::Pause(rest)),
        }
    }

    fn go(&mut self, stage: Stage, action: Action) -> Option<Action> {
        self.stage = stage;
        Some(action)
    }

    fn pass_to(&mut self, stage: Stage) -> Option<Action> {
        self.stage = stage;
        None
    }
}

#[cfg(test)]
mod tests;
