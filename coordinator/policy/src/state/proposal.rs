//! What an entry of the log asks for: a command, when the leader took it, and who numbers it.

use std::fmt;

use helixflow_model::{Sequence, SessionId, UnixMillis};
use serde::{Deserialize, Serialize};

use super::Command;

/// One write, as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The leader's calendar time when it took the write. The state's own clock is the latest of them.
    pub stamp: UnixMillis,
    /// Its number in a session; without one, a repetition is a write of its own.
    pub write: Option<WriteId>,
    /// What is to change.
    pub command: Command,
}

/// The number of a write: within a session it is applied once, however often it is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteId {
    /// Whose numbers they are.
    pub session: SessionId,
    /// Higher than that of the session's write before, which must be settled.
    pub sequence: Sequence,
}

impl From<Command> for Proposal {
    /// A write without a session that moves no clock.
    fn from(command: Command) -> Self {
        Self { stamp: UnixMillis(0), write: None, command }
    }
}

impl fmt::Display for Proposal {
    /// The command's name alone: a plan of a thousand moves belongs in no log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.command.name())
    }
}
