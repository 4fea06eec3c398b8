//! A process that runs: the ways to and from it, and which boards it has by now.
//!
//! A process tells each board once it is open, so that one which hangs keeps nobody from the others. It has settled once
//! nothing opens any more, or what still does has had its time: only then is its inventory what the node goes by.

use helixflow_model::{BoardId, BoardInfo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_util::codec::{FramedRead, LinesCodec};

use super::Patience;
use super::program::{Life, Running};
use crate::device::protocol::{Inventory, MOST_LINE};

/// A process that runs.
pub(super) struct Link {
    pub(super) requests: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) lines: FramedRead<Box<dyn AsyncRead + Send + Unpin>, LinesCodec>,
    pub(super) life: Box<dyn Life>,
    pub(super) since: Instant,
    /// What it has found by now, once it has told anything.
    found: Option<Inventory>,
    /// Since when it has nothing more to open.
    opened: Option<Instant>,
    is_settled: bool,
}

impl Link {
    pub(super) fn new(process: Running, now: Instant) -> Self {
        let Running { requests, lines, life } = process;
        let lines = FramedRead::new(lines, LinesCodec::new_with_max_length(MOST_LINE));
        Self { requests, lines, life, since: now, found: None, opened: None, is_settled: false }
    }

    /// Takes what the process has found by now, and says aloud what is wrong with it that was not wrong before, and what
    /// has come late.
    pub(super) fn learn(&mut self, found: Inventory, now: Instant) {
        let known = self.found.take().unwrap_or_default();
        for trouble in found.trouble.iter().filter(|trouble| !known.trouble.contains(trouble)) {
            tracing::warn!(trouble, "not every device can be read");
        }
        let has_come = |info: &&BoardInfo| self.is_settled && !known.boards.contains(info);
        for BoardInfo { board, name, .. } in found.boards.iter().filter(has_come) {
            tracing::info!(%board, name, "a GPU answers now; a node that started without it reads it after its next start");
        }
        if found.opening.is_empty() {
            self.opened.get_or_insert(now);
        }
        self.found = Some(found);
    }

    /// What the node is to go by: all that was found, once that has settled.
    pub(super) fn settled(&self) -> Option<&Inventory> {
        self.found.as_ref().filter(|_| self.is_settled)
    }

    /// Settles where that is due; true where it has just done so.
    pub(super) fn settle(&mut self, patience: &Patience, now: Instant) -> bool {
        let is_due = !self.is_settled && self.settles(patience).is_some_and(|due| now >= due);
        if is_due {
            self.is_settled = true;
            for place in self.found.iter().flat_map(|found| &found.opening) {
                tracing::warn!(place, "does not answer; the node goes on without it");
            }
        }
        is_due
    }

    /// When it settles unless it tells more; where no board is open yet, a slow one is worth waiting for.
    pub(super) fn settles(&self, patience: &Patience) -> Option<Instant> {
        let has_board = self.found.as_ref().is_some_and(|found| !found.boards.is_empty());
        self.opened.or_else(|| has_board.then(|| self.since + patience.all_open))
    }

    /// From when on calls count as late. A driver that still opens a board may let calls of others wait meanwhile, so
    /// that one which opens all of them slowly would be replaced again and again.
    pub(super) fn counts_from(&self, patience: &Patience) -> Instant {
        self.opened.unwrap_or(self.since + patience.open)
    }

    /// The boards that are open.
    pub(super) fn boards(&self) -> impl Iterator<Item = &BoardId> {
        self.found.iter().flat_map(|found| &found.boards).map(|info| &info.board)
    }

    /// Whether the board is open.
    pub(super) fn has(&self, board: &BoardId) -> bool {
        self.boards().any(|known| known == board)
    }

    /// Whether the board may be asked. One that is not there is refused by the process itself, but one that may yet be
    /// opened is worth the wait.
    pub(super) fn may_ask(&self, board: &BoardId) -> bool {
        self.is_settled || self.has(board)
    }
}
