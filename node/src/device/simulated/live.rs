//! One model in real time: it is moved on to the present whenever somebody looks, under the work of the time between.

use std::time::Duration;

use helixflow_physics::{Board, Work};
use tokio::time::Instant;

/// Seconds of work that a board owes at most: one long step, and its longest rest. Two replicas that are busy on one board
/// bring two seconds of work a second, of which it can live through one; what is beyond was done at the same time.
const MOST_OWED: f64 = 4.0;

/// A board, the moment that it has come to, and the work that has been done since.
pub(super) struct Live {
    board: Board,
    at: Instant,
    /// Seconds of work that the board has not lived through yet, rests included.
    busy: f64,
    /// Seconds of them in which the compute units wait for memory.
    waiting: f64,
}

impl Live {
    pub(super) fn new(board: Board) -> Self {
        Self { board, at: Instant::now(), busy: 0.0, waiting: 0.0 }
    }

    /// The board as it is at `now`.
    pub(super) fn at(&mut self, now: Instant) -> &mut Board {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        if passed > 0.0 {
            self.at = now;
            // Work is told of when its step ends, and its rest before that has begun: what does not fit goes on later.
            let busy = self.busy.min(passed);
            let memory_bound = if self.busy > 0.0 { self.waiting / self.busy } else { 0.0 };
            self.board.step(passed, Work { busy: busy / passed, memory_bound });
            self.busy -= busy;
            self.waiting = self.busy * memory_bound;
        }
        &mut self.board
    }

    /// Takes in work of one step, which took `worked` on this machine, and gives the rest that makes up for the board's
    /// speed, `most` at the longest.
    pub(super) fn work(&mut self, worked: Duration, memory_bound: f64, most: Duration) -> Duration {
        let speed = self.board.speed_of(memory_bound);
        let rest = if speed >= 1.0 {
            Duration::ZERO
        } else {
            let seconds = worked.as_secs_f64() * (1.0 / speed - 1.0);
            Duration::try_from_secs_f64(seconds).map_or(most, |rest| rest.min(most))
        };
        let busy = (worked + rest).as_secs_f64();
        self.busy += busy;
        self.waiting += busy * memory_bound;
        // A step that alone took longer is lived through whole.
        let most = MOST_OWED.max(busy);
        if self.busy > most {
            self.waiting *= most / self.busy;
            self.busy = most;
        }
        rest
    }
}
