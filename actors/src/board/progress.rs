//! Whether the shards of a board compute: tokens come from the device itself, and no driver call is needed to see them.

use std::collections::BTreeMap;
use std::time::Duration;

use helixflow_model::{BoardId, Fence};
use tokio::time::Instant;

use crate::host::Replica;
use crate::roster::Roster;

/// A shard without requests computes a canary every ten seconds, and a batch may come before it.
const PROGRESS_WITHIN: Duration = Duration::from_secs(15);

/// What the shards of one board had computed when they were last looked at, and since when.
#[derive(Debug, Default)]
pub(super) struct Progress {
    counts: BTreeMap<Fence, (u64, Instant)>,
}

impl Progress {
    /// Looks at the board's shards; whether one of them has computed anything of late, or has only just come. A board
    /// without shards has nothing to compute, and nothing that speaks against it.
    pub(super) fn look<R: Replica>(&mut self, roster: &Roster<R>, board: &BoardId) -> bool {
        let since = |fence: &Fence, count: u64| match self.counts.get(fence) {
            Some((before, at)) if *before == count => *at,
            _ => Instant::now(),
        };
        self.counts = roster
            .values()
            .filter_map(|seat| Some((seat.assignment.fence(), seat.replica.as_ref()?)))
            .filter(|(_, replica)| is_on(replica.as_ref(), board))
            .map(|(fence, replica)| (fence, replica.progress()))
            .map(|(fence, count)| (fence, (count, since(&fence, count))))
            .collect();
        let mut moved = self.counts.values().map(|(_, at)| at.elapsed() < PROGRESS_WITHIN);
        self.counts.is_empty() || moved.any(|recently| recently)
    }
}

/// Whether a replica computes on the board.
fn is_on<R: Replica>(replica: &R, board: &BoardId) -> bool {
    let boards = replica.boards();
    boards.is_empty() || boards.contains(board)
}
