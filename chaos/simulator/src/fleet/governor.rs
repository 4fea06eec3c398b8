//! Our governor on one board: what the board actor does in production, with the same pure code.

use std::time::Duration;

use helixflow_control::{BoardControl, ClockOrder, Driver, Judged, LoadEstimate};
use helixflow_model::{BoardLimits, ClockControl, LoadReport};
use helixflow_physics::Board;

/// A board's control, and what its node reports of it.
pub(super) struct Governed {
    control: BoardControl,
    load: LoadEstimate,
    /// What came of the last reading.
    judged: Option<Judged>,
    /// When the next one is due.
    due: Duration,
}

impl Governed {
    /// Of a board with these limits, whose clock may be set or only watched.
    pub(super) fn new(limits: BoardLimits, control: ClockControl) -> Self {
        let control = BoardControl::new(limits, control);
        Self { control, load: LoadEstimate::default(), judged: None, due: Duration::ZERO }
    }

    /// What came of the last reading.
    pub(super) fn judged(&self) -> Option<&Judged> {
        self.judged.as_ref()
    }

    /// The board's load, smoothed.
    pub(super) fn load(&mut self, report: LoadReport, now: Duration) -> LoadReport {
        self.load.take(report, now)
    }

    /// Reads the board when it is time to, and does to its clock what is decided.
    pub(super) fn look(&mut self, board: &mut Board, now: Duration) {
        if now < self.due {
            return;
        }
        let judged = self.control.take(board.reading().ok(), Driver::Sound, now);
        match judged.order {
            Some(ClockOrder::Limit(clock)) => board.limit_clock(Some(clock)),
            Some(ClockOrder::Release) => board.limit_clock(None),
            None => {}
        }
        self.due = now + judged.next_read;
        self.judged = Some(judged);
    }
}
