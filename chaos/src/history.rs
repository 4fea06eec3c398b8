//! What happened in an experiment, as data: times are durations since its start.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::load::Answer;
use crate::target::{Process, Snapshot};

/// Everything that was seen.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What each prompt was answered before any fault.
    pub references: Vec<Answer>,
    /// The kills, in order.
    pub kills: Vec<Kill>,
    /// The requests, in the order of their ends.
    pub requests: Vec<Request>,
    /// What each coordinator said at the end, by its address; none from one that did not answer.
    pub finally: BTreeMap<String, Option<Snapshot>>,
}

/// One request of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which client.
    pub client: u16,
    /// Which prompt.
    pub prompt: usize,
    /// When it was sent.
    pub began: Duration,
    /// When its last event, its error or its time-out came.
    pub ended: Duration,
    /// The longest time between two tokens.
    pub longest_gap: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a complete answer.
    Answered(Answer),
    /// With an error of the service, by its reason.
    Refused {
        /// The gRPC code and the machine-readable reason, for instance `Unavailable` and `NO_REPLICA`.
        code: String,
        /// The reason.
        reason: String,
        /// What the service said.
        message: String,
    },
    /// The connection to this coordinator broke.
    ConnectionLost {
        /// Its address.
        endpoint: String,
        /// Whether anything of the answer had been read; if not, the client had to try elsewhere.
        heard: bool,
    },
    /// It did not end by itself, long after its deadline.
    Hung,
}

impl Outcome {
    /// A word for it in tables: the reason of a failure.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Answered(_) => "OK",
            Self::Refused { reason, .. } => reason,
            Self::ConnectionLost { .. } => "CONNECTION_LOST",
            Self::Hung => "HUNG",
        }
    }
}

/// One process killed, and how it came back.
#[derive(Clone, Debug)]
pub struct Kill {
    /// From 1.
    pub round: u16,
    /// Who, as it was before.
    pub victim: Process,
    /// When.
    pub at: Duration,
    /// What another coordinator said before.
    pub before: Snapshot,
    /// How it came back; none when it was not back within the plan's bound.
    pub back: Option<Return>,
}

/// A killed process that is back.
#[derive(Clone, Debug)]
pub struct Return {
    /// When all was well again.
    pub at: Duration,
    /// The process as the record has it now.
    pub process: Process,
    /// What was said of the cluster then: by the coordinator itself, if one was killed.
    pub after: Snapshot,
}
