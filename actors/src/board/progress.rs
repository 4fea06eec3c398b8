//! Whether the shards of a board compute: tokens come from the device itself, and no driver call is needed to see them.

use std::collections::BTreeMap;
use std::time::Duration;

use helixflow_model::{BoardId, Fence};
use tokio::time::Instant;

use crate::host::Replica;
use crate::roster::Roster;

/// A shard without requests computes a canary every ten seconds, and a batch may come before it.
const PROGRESS_WITHIN: Duration = Duration::from_secs(15);

/// What the shards of one board had computed when they were last looked at.
#[derive(Debug, Default)]
pub(super) struct Progress {
    counts: BTreeMap<Fence, u64>,
    /// When a count was last seen to move.
    moved: Option<Instant>,
}

impl Progress {
    /// Looks at the board's shards; whether one of them has computed anything of late.
    pub(super) fn look<R: Replica>(&mut self, roster: &Roster<R>, board: &BoardId) -> bool {
        let counts: BTreeMap<Fence, u64> = roster
            .values()
            .filter_map(|seat| Some((seat.assignment.fence(), seat.replica.as_ref()?)))
            .filter(|(_, replica)| is_on(replica.as_ref(), board))
            .map(|(fence, replica)| (fence, replica.progress()))
            .collect();
        let has_moved =
            |(fence, count): (&Fence, &u64)| self.counts.get(fence).is_some_and(|old| old != count);
        if counts.iter().any(has_moved) {
            self.moved = Some(Instant::now());
        }
        self.counts = counts;
        self.moved.is_some_and(|at| at.elapsed() < PROGRESS_WITHIN)
    }
}

/// Whether a replica computes on the board.
fn is_on<R: Replica>(replica: &R, board: &BoardId) -> bool {
    let boards = replica.boards();
    boards.is_empty() || boards.contains(board)
}
