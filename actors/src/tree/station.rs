//! What is known from outside of one actor: where it stands, what it does, what waits for it.

use std::borrow::Cow;

use helixflow_control::RestartBudget;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{ActorKind, ActorReport, ActorState, Restarts};
use crate::host::Notes;
use crate::mailbox::Depth;

/// Kept by the actor itself, and by its supervisor while it has none to keep it.
#[derive(Clone, Debug)]
pub(crate) struct Station {
    record: watch::Sender<Record>,
    /// Counts its messages.
    pub(crate) mailbox: Depth,
}

#[derive(Debug)]
struct Record {
    state: ActorState,
    doing: Cow<'static, str>,
    since: Instant,
    /// Finer words for what it does, where there are any.
    notes: Notes,
    budget: Option<RestartBudget>,
}

impl Station {
    pub(super) fn new() -> Self {
        let record = Record {
            state: ActorState::Starting,
            doing: Cow::Borrowed("starts"),
            since: Instant::now(),
            notes: Notes::default(),
            budget: None,
        };
        Self { record: watch::Sender::new(record), mailbox: Depth::default() }
    }

    /// It stands there now, and does this.
    pub(crate) fn set(&self, state: ActorState, doing: impl Into<Cow<'static, str>>) {
        let doing = doing.into();
        self.record.send_modify(|record| {
            if (record.state, &record.doing) != (state, &doing) {
                record.since = Instant::now();
            }
            (record.state, record.doing) = (state, doing);
        });
    }

    /// It runs, and does this.
    pub(crate) fn runs(&self, doing: impl Into<Cow<'static, str>>) {
        self.set(ActorState::Running, doing);
    }

    /// Its restarts are counted in this budget.
    pub(crate) fn spends(&self, budget: &RestartBudget) {
        self.record.send_modify(|record| record.budget = Some(budget.clone()));
    }

    /// It says here what it does in finer words.
    pub(crate) fn takes_notes(&self, notes: Notes) {
        self.record.send_modify(|record| record.notes = notes);
    }

    pub(super) fn report(&self, kind: ActorKind, name: &str, began: Instant) -> ActorReport {
        let record = self.record.borrow();
        let notes = record.notes.latest();
        let doing =
            if notes.is_empty() { record.doing.to_string() } else { format!("{}: {notes}", record.doing) };
        ActorReport {
            kind,
            name: name.to_owned(),
            state: record.state,
            doing,
            doing_for_ms: u64::try_from(record.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            mailbox: self.mailbox.now(),
            restarts: record.budget.as_ref().map(|budget| Restarts {
                spent: budget.spent(began.elapsed()),
                most: budget.policy().most,
                window_seconds: budget.policy().window.as_secs(),
            }),
            children: Vec::new(),
        }
    }
}
