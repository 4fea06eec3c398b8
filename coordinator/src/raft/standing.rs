//! Where the Raft group stands, in words of our own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use helixflow_model::CoordinatorId;

/// What a coordinator does in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes the writes.
    Leader,
    /// It follows one.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It has no vote: not bootstrapped yet, or an observer.
    Learner,
    /// Its Raft has ended.
    Stopped,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Learner => "learner",
            Self::Stopped => "stopped",
        })
    }
}

/// Where the group stands, as far as one coordinator can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who tells.
    pub us: CoordinatorId,
    /// What it does.
    pub role: Role,
    /// Who leads, as far as it knows.
    pub leader: Option<CoordinatorId>,
    /// The term.
    pub term: u64,
    /// The log index applied last.
    pub applied: u64,
    /// Who has a vote.
    pub voters: BTreeSet<CoordinatorId>,
    /// Everybody who follows the log, with or without a vote, and `host:port` of their Raft ports.
    pub members: BTreeMap<CoordinatorId, String>,
    /// How long ago it last knew of a quorum; `None` when it never did since it started.
    pub quorum_age: Option<Duration>,
    /// Why a message on the Raft port was refused: it was meant for another coordinator or disk.
    pub misdirected: Option<String>,
}
