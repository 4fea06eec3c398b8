//! Sessions: a write that is proposed twice is applied once.
//!
//! A session holds the number and the outcome of its last write. The same number again gets that outcome again; a lower
//! one is refused; so is every write of a session that is not there, because whether it was applied before is not known
//! any more. An id is the log index that opened the session, so an expired one never comes back.
//!
//! Time is the latest stamp that a leader put into an entry. A leader whose clock is far ahead ends sessions early: their
//! writers are refused and open new ones, and nothing is applied twice.

use std::time::Duration;

use helixflow_model::{Epoch, Sequence, SessionId, UnixMillis};
use serde::{Deserialize, Serialize};

use super::{
    ClusterState, Command, MAX_SESSIONS, Outcome, Refusal, WriteId, members::check_room, outcome::Bounded,
};

/// A session ends when it was not used for so long: beyond the time that any client goes on trying one write.
pub const SESSION_LIFE: Duration = Duration::from_secs(10 * 60);

/// A writer's session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The state's clock at its last use.
    pub used: UnixMillis,
    /// Its last write; `None` before the first.
    pub last: Option<Settled>,
}

/// A write that was applied, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Its number.
    pub sequence: Sequence,
    /// What is answered when it is proposed again.
    pub outcome: Outcome,
}

impl ClusterState {
    /// Opens a session under this entry's index. Those whose time is over make room.
    pub(super) fn open_session(&mut self) -> Result<Outcome, Refusal> {
        let now = self.clock;
        self.sessions.retain(|_, session| session.is_alive(now));
        check_room(self.sessions.len(), MAX_SESSIONS, Bounded::Sessions)?;
        let session = SessionId(self.epoch.0);
        self.sessions.insert(session, Session { used: now, last: None });
        Ok(Outcome::Opened { session })
    }

    /// Applies a session's write, unless it was applied before.
    pub(super) fn run_once(&mut self, write: WriteId, command: Command) -> Outcome {
        match self.settled(write) {
            Err(reason) => Outcome::Refused { reason },
            Ok(Some(outcome)) => outcome,
            Ok(None) => {
                let outcome = self.run(command);
                if let Some(session) = self.sessions.get_mut(&write.session) {
                    session.last = Some(Settled { sequence: write.sequence, outcome: outcome.clone() });
                }
                outcome
            }
        }
    }

    /// What came of the write when it was applied before; `None` for one that is to be applied now.
    fn settled(&mut self, write: WriteId) -> Result<Option<Outcome>, Refusal> {
        let now = self.clock;
        let expired = Refusal::SessionExpired { session: write.session };
        let session = self.sessions.get_mut(&write.session).filter(|session| session.is_alive(now));
        let session = session.ok_or(expired)?;
        session.used = now;
        let last = session.last.as_ref();
        let newest = last.map_or(Sequence(0), |settled| settled.sequence);
        if write.sequence > newest {
            return Ok(None);
        }
        match last.filter(|settled| settled.sequence == write.sequence) {
            Some(settled) => Ok(Some(settled.outcome.clone())),
            None => Err(Refusal::SequencePassed { write: write.sequence, newest }),
        }
    }

    /// The state's clock: the latest stamp that a leader put into an entry.
    pub fn clock(&self) -> UnixMillis {
        self.clock
    }

    /// The sessions that writers hold; some of them may have expired since.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Whether the session is open, as of the last entry applied.
    pub fn has_session(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|session| session.is_alive(self.clock))
    }
}

impl Session {
    fn is_alive(&self, now: UnixMillis) -> bool {
        u128::from(now.0.saturating_sub(self.used.0)) < SESSION_LIFE.as_millis()
    }

    /// The log index that a session's id names.
    pub(crate) fn opened(id: SessionId) -> Epoch {
        Epoch(id.0)
    }
}
