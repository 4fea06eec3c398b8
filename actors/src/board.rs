//! The board actor: reads one device once a second, with a deadline, and publishes the latest reading.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use helixflow_model::BoardReport;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;

/// Temperatures move over seconds; a faster reading would only cost.
const READ_EVERY: Duration = Duration::from_secs(1);
/// A driver in trouble can block for a minute; what is not read by then is late, and the last reading stands.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// The latest reading of each board, by its id.
pub(crate) type Readings = BTreeMap<String, BoardReport>;

/// Why a device could not be read.
pub type BoardError = Box<dyn Error + Send + Sync>;

/// A device with heat, power and memory.
pub trait Board: Send + Sync + 'static {
    /// Stable id, for the logs.
    fn id(&self) -> &str;

    /// Reads it. Must not block the thread that polls.
    fn read(&self) -> BoxFuture<'_, Result<BoardReport, BoardError>>;
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
                state.readings.send_modify(|readings| {
                    readings.insert(reading.board.clone(), reading);
                });
            }
            Ok(Err(error)) => tracing::warn!(board = state.board.id(), error, "cannot read the device"),
            Err(_) => tracing::warn!(board = state.board.id(), "the device did not answer in {READ_LIMIT:?}"),
        }
        myself.send_after(READ_EVERY, || Read);
        Ok(())
    }
}
