//! The GPUs of this machine, as the node has them: read and set through the process that reads devices.

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use helixflow_actors::{Board, BoardError, ClockError};
use helixflow_control::HeldBy;
use helixflow_env::Disk;
use helixflow_model::{BoardId, BoardInfo, BoardReading, MegaHertz};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::clock::{ClockOf, SetError, Settings, undo};
use super::journal::{Journal, JournalError};
use super::process::{Patience, Program, Reader};
use super::protocol::{Answer, Ask, Inventory};

/// All GPUs, and the process that reads them.
#[derive(Debug)]
pub struct Gpus {
    reader: Reader,
    settings: Settings,
    patience: Patience,
    /// What the drivers told in time.
    found: Option<Inventory>,
}

/// What was set on a board and is still set.
#[derive(Debug, thiserror::Error)]
#[error("what this node set on {board} is still set; {by_hand}")]
pub struct StillSet {
    /// Which board.
    pub board: BoardId,
    /// How a person undoes it.
    pub by_hand: String,
    /// Why.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The driver did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("the driver did not answer in time; `nvidia-smi` shows whether it hangs")]
struct TooLate;

impl Gpus {
    /// Starts the process, waits a while for what it finds, and undoes what an earlier life of this node has left set.
    /// A driver that blocks costs that while and nothing more: the node starts without GPUs, and they are tried again.
    pub async fn find(
        program: Program,
        patience: Patience,
        disk: Arc<dyn Disk>,
        folder: &Path,
    ) -> Result<Self, JournalError> {
        let mut journal = Journal::open(disk, folder)?;
        journal.forget_other_boots();
        let settings = Arc::new(Mutex::new(journal));
        let reader = Reader::start(program, patience);
        let found = timeout(patience.start, reader.found(|_| true)).await.ok().flatten();
        let gpus = Self { reader, settings, patience, found };
        match &gpus.found {
            None => tracing::warn!("the drivers of the GPUs do not answer; this node starts without them"),
            Some(found) => {
                for note in &found.notes {
                    tracing::info!(note, "no such GPUs here");
                }
                for BoardInfo { board, name, .. } in &found.boards {
                    tracing::info!(%board, name, "found a GPU");
                }
                gpus.undo_what_was_left().await;
            }
        }
        Ok(gpus)
    }

    /// The boards that answered in time.
    pub fn boards(&self) -> Vec<Arc<dyn Board>> {
        let boards = self.found.iter().flat_map(|found| &found.boards);
        boards.map(|info| Arc::new(self.board(info.clone())) as Arc<dyn Board>).collect()
    }

    fn board(&self, info: BoardInfo) -> GpuBoard {
        let clock =
            ClockOf::new(self.reader.clone(), Arc::clone(&self.settings), info.board.clone(), info.limits);
        GpuBoard { info, reader: self.reader.clone(), clock }
    }

    /// Returns once GPUs answer that did not in time; never where there is nothing to wait for. What was left set on them
    /// is undone then.
    pub async fn come_late(&mut self) -> Vec<Arc<dyn Board>> {
        let is_known = self.found.as_ref().is_some_and(|found| !found.boards.is_empty());
        let found = if is_known { None } else { self.reader.found(|found| !found.boards.is_empty()).await };
        if found.is_none() {
            return std::future::pending().await;
        }
        self.found = found;
        self.undo_what_was_left().await;
        self.boards()
    }

    /// Undoes everything that is set; what could not be undone stays in the journal, for the next start.
    pub async fn release(&self) -> Vec<StillSet> {
        let mut failed = Vec::new();
        let boards = self.settings.lock().boards();
        for board in boards {
            match self.undo(&board).await {
                Ok(()) => tracing::info!(%board, "the clock runs freely again"),
                Err(source) => {
                    let by_hand = self.by_hand(&board);
                    failed.push(StillSet { board, by_hand, source });
                }
            }
        }
        failed
    }

    /// How a person undoes what is set on a board, one that was taken out included.
    fn by_hand(&self, board: &BoardId) -> String {
        let settings = self.settings.lock();
        let by_hand = settings.setting(board).map(|setting| setting.by_hand(board)).unwrap_or_default();
        let is_shown = |found: &Inventory| found.boards.iter().any(|info| info.board == *board);
        if self.found.as_ref().is_none_or(is_shown) {
            return by_hand;
        }
        let file = settings.path().display();
        format!(
            "{by_hand}; no driver shows this board: if it was taken out, stop the node and remove the board from {file}"
        )
    }

    async fn undo(&self, board: &BoardId) -> Result<(), BoardError> {
        // Drivers that have not opened for so long answer no call either.
        if self.found.is_none() {
            return Err(TooLate.into());
        }
        let undone = timeout(self.patience.undo, undo(&self.reader, &self.settings, board)).await;
        Ok(undone.map_err(|_| TooLate)??)
    }

    async fn undo_what_was_left(&self) {
        for StillSet { board, by_hand, source } in self.release().await {
            tracing::warn!(%board, error = source, "what an earlier life of this node set is still set; {by_hand}");
        }
    }
}

/// One GPU.
struct GpuBoard {
    info: BoardInfo,
    reader: Reader,
    clock: ClockOf,
}

impl Board for GpuBoard {
    fn info(&self) -> &BoardInfo {
        &self.info
    }

    fn read(&self) -> BoxFuture<'_, Result<BoardReading, BoardError>> {
        Box::pin(async {
            match self.reader.ask(&self.info.board, Ask::Read).await? {
                Answer::Reading(reading) => Ok(*reading),
                Answer::Refused(refusal) => Err(refusal.into()),
                Answer::Power(_) | Answer::Done => Err(SetError::Confused.into()),
            }
        })
    }

    fn limit_clock(&self, clock: Option<MegaHertz>) -> BoxFuture<'_, Result<HeldBy, ClockError>> {
        Box::pin(self.clock.limit(clock))
    }

    fn leave_clock(&self) {
        self.clock.leave();
    }
}
