//! Whether the shards of a board compute, or are about to: tokens come from the device itself, and no driver call is needed
//! to see them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use helixflow_model::{BoardId, Fence};
use tokio::sync::watch;
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
        self.counts = replicas(roster, board)
            .map(|(fence, replica)| (fence, replica.progress()))
            .map(|(fence, count)| (fence, (count, since(&fence, count))))
            .collect();
        let mut moved = self.counts.values().map(|(_, at)| at.elapsed() < PROGRESS_WITHIN);
        self.counts.is_empty() || moved.any(|recently| recently)
    }
}

/// Returns once a request comes to one of the board's shards, those that come meanwhile included. It listens from the call
/// on.
pub(super) fn work<R: Replica>(
    mut roster: watch::Receiver<Roster<R>>,
    board: BoardId,
) -> impl Future<Output = ()> + Send {
    let mut asked = Box::pin(requests(&roster.borrow_and_update(), &board));
    async move {
        loop {
            tokio::select! {
                () = &mut asked => return,
                changed = roster.changed() => if changed.is_err() {
                    // The node ends.
                    std::future::pending::<()>().await;
                },
            }
            asked.set(requests(&roster.borrow_and_update(), &board));
        }
    }
}

/// Returns once a request comes to one of these shards; never where there is none.
fn requests<R: Replica>(roster: &Roster<R>, board: &BoardId) -> impl Future<Output = ()> + Send + use<R> {
    let mut asked: FuturesUnordered<_> = replicas(roster, board)
        .map(|(_, replica)| replica.asked())
        .map(|mut asked| async move { asked.changed().await.is_ok() })
        .collect();
    async move {
        // A shard that has gone is asked nothing any more.
        while let Some(is_asked) = asked.next().await {
            if is_asked {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

/// The board's shards.
fn replicas<'r, R: Replica>(
    roster: &'r Roster<R>,
    board: &'r BoardId,
) -> impl Iterator<Item = (Fence, &'r R)> {
    let replicas =
        roster.values().filter_map(|seat| Some((seat.assignment.fence(), seat.replica.as_deref()?)));
    replicas.filter(|(_, replica)| is_on(*replica, board))
}

/// Whether a replica computes on the board.
fn is_on<R: Replica>(replica: &R, board: &BoardId) -> bool {
    let boards = replica.boards();
    boards.is_empty() || boards.contains(board)
}
