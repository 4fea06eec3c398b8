//! The board actor: reads one device once a second, with a deadline, and publishes the latest reading.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use helixflow_model::{
    Band, BoardId, BoardInfo, BoardReading, BoardReport, BoardStanding, ClockControl, Duty, MegaHertz,
    Permille,
};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;
use tokio::time::Instant;

/// Temperatures move over seconds; a faster reading would only cost.
const READ_EVERY: Duration = Duration::from_secs(1);
/// A driver in trouble can block for a minute; what is not read by then is late, and the last reading stands.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// The latest reading of each board, by its id.
pub(crate) type Readings = BTreeMap<BoardId, Taken>;

/// A reading, what is made of it, and when it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    info: BoardInfo,
    reading: BoardReading,
    standing: BoardStanding,
    at: Instant,
}

impl Taken {
    /// As coordinators are told of it at `now`.
    pub(crate) fn report(&self, now: Instant) -> BoardReport {
        let Self { info, reading, standing, at } = self.clone();
        BoardReport { info, reading, age: now.saturating_duration_since(at), standing }
    }
}

/// What a board is taken for that is not judged yet.
const STANDING: BoardStanding = BoardStanding {
    band: Band::Cool,
    duty: Duty::Full,
    control: ClockControl::MonitorOnly,
    target_clock: None,
    forecast: None,
    headroom: None,
    speed: Permille(1000),
    weight: Permille(1000),
};

/// Why a device could not be read.
pub type BoardError = Box<dyn Error + Send + Sync>;

/// Why a clock was not set.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// It never can be: readings alone are left.
    #[error("{why}; the board is only watched")]
    NotPermitted {
        /// Why, and who could change that.
        why: String,
    },
    /// It could not be this time.
    #[error("the clock was not set")]
    Failed(#[source] BoardError),
}

/// A device with heat, power and memory.
pub trait Board: Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> &BoardInfo;

    /// Reads it. Must not block the thread that polls; may never end, where a driver is in trouble.
    fn read(&self) -> BoxFuture<'_, Result<BoardReading, BoardError>>;

    /// Asks that the compute units run at this clock at most; `None` lets them run as they like again.
    fn limit_clock(&self, clock: Option<MegaHertz>) -> BoxFuture<'_, Result<(), ClockError>>;
}

/// Reads one device.
pub(crate) struct BoardActor;

/// The only message: read now.
pub(crate) struct Read;

pub(crate) struct BoardState {
    pub(crate) board: Arc<dyn Board>,
    pub(crate) readings: watch::Sender<Readings>,
}

impl Actor for BoardActor {
    type Msg = Read;
    type State = BoardState;
    type Arguments = BoardState;

    async fn pre_start(
        &self,
        myself: ActorRef<Read>,
        state: BoardState,
    ) -> Result<BoardState, ActorProcessingErr> {
        myself.cast(Read)?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Read>,
        _: Read,
        state: &mut BoardState,
    ) -> Result<(), ActorProcessingErr> {
        match tokio::time::timeout(READ_LIMIT, state.board.read()).await {
            Ok(Ok(reading)) => {
                let info = state.board.info().clone();
                let taken = Taken { info, reading, standing: STANDING, at: Instant::now() };
                state.readings.send_modify(|readings| {
                    readings.insert(taken.info.board.clone(), taken);
                });
            }
            Ok(Err(error)) => {
                tracing::warn!(board = %state.board.info().board, error, "cannot read the device");
            }
            Err(_) => {
                tracing::warn!(board = %state.board.info().board, "the device did not answer in {READ_LIMIT:?}");
            }
        }
        myself.send_after(READ_EVERY, || Read);
        Ok(())
    }
}
