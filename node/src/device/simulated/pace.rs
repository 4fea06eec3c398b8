//! What ties a shard to its simulated board: each step heats the board, and the board's clock says how long to rest.

use std::sync::Arc;
use std::time::Duration;

use helixflow_engine::Pace;
use helixflow_engine::schedule::Stepped;

use super::SimulatedBoard;

/// The longest rest after one step. A board that stands still must not hold a step back for ever: whoever watches the
/// board is to take its work away, and until then the engine shows that it lives.
const LONGEST_REST: Duration = Duration::from_secs(2);
/// Share of the time in which compute units wait for memory while prompts are read. An estimate, as is the next.
const READING: f64 = 0.2;
/// And while every row of a batch gives a token.
const GENERATING: f64 = 0.8;

/// The pace of one shard.
pub(crate) struct BoardPace(Arc<SimulatedBoard>);

impl BoardPace {
    pub(crate) const fn new(board: Arc<SimulatedBoard>) -> Self {
        Self(board)
    }
}

impl Pace for BoardPace {
    fn rest(&mut self, step: Stepped, worked: Duration) -> Duration {
        let generating = step.tokens as f64 / step.rows.max(1) as f64;
        let memory_bound = READING + (GENERATING - READING) * generating.min(1.0);
        self.0.live.lock().work(worked, memory_bound, LONGEST_REST)
    }
}
