//! The board actor: reads one board on time, lets control judge it, and publishes what comes of that.
//!
//! Blocked calls are awaited here alone: other boards, the reports and the shards go on. A board that begins to bring no
//! readings has all others read at once, since only then can it be told whether the board is in trouble or its driver.

use std::sync::Arc;
use std::time::Duration;

use helixflow_control::{
    BoardControl, Consequence, Driver, HeldBy, Judged, PAUSE_AT_WORK, READING_DEADLINE, xid,
};
use helixflow_model::{BoardReading, BoardStanding, ClockControl};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;
use tokio::time::Instant;

use super::clock::{Clock, Hold, Releases};
use super::latest::{Readings, Taken, driver_is_silent};
use super::progress::{Progress, work};
use super::{Board, BoardError, ClockError};
use crate::host::Replica;
use crate::mailbox::{Letter, Mailbox};
use crate::roster::Roster;
use crate::telemetry::TelemetryMessage;
use crate::tree::{ActorState, Station};

/// Changes when a board begins to bring no readings.
pub(crate) type Alarm = watch::Sender<()>;

/// Reads one board, on which replicas of type `R` run.
pub(crate) struct BoardActor<R>(std::marker::PhantomData<fn() -> R>);

impl<R> BoardActor<R> {
    pub(crate) const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

pub(crate) enum BoardMessage {
    /// Read now.
    Read,
    /// The order to the clock is over.
    ClockDone(Result<HeldBy, ClockError>),
}

/// What a board's actor is made of.
pub(crate) struct BoardPlan<R> {
    pub(crate) clock: Arc<Clock>,
    pub(crate) releases: Releases,
    pub(crate) readings: watch::Sender<Readings>,
    pub(crate) roster: watch::Receiver<Roster<R>>,
    pub(crate) alarm: Alarm,
    /// Whom to tell of a change that cannot wait; none while it is being restarted.
    pub(crate) telemetry: watch::Receiver<Option<Mailbox<TelemetryMessage>>>,
    pub(crate) station: Station,
}

pub(crate) struct BoardState<R> {
    board: Arc<dyn Board>,
    control: BoardControl,
    hold: Hold,
    readings: watch::Sender<Readings>,
    roster: watch::Receiver<Roster<R>>,
    alarm: Alarm,
    /// The same, to hear of it.
    alarmed: watch::Receiver<()>,
    telemetry: watch::Receiver<Option<Mailbox<TelemetryMessage>>>,
    station: Station,
    progress: Progress,
    began: Instant,
    /// When the board last answered.
    answered: Instant,
    late: bool,
    /// Why it could not be read the last time.
    failure: Option<BoardError>,
    /// Whether its driver answers for no board.
    suspect: bool,
}

impl<R: Replica> Actor for BoardActor<R> {
    type Msg = Letter<BoardMessage>;
    type State = BoardState<R>;
    type Arguments = BoardPlan<R>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        plan: BoardPlan<R>,
    ) -> Result<BoardState<R>, ActorProcessingErr> {
        myself.cast(plan.station.mailbox.letter(BoardMessage::Read))?;
        Ok(BoardState::new(plan))
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        letter: Self::Msg,
        state: &mut BoardState<R>,
    ) -> Result<(), ActorProcessingErr> {
        match letter.open() {
            BoardMessage::Read => state.step(&myself).await,
            BoardMessage::ClockDone(outcome) => {
                if state.hold.finished(&outcome) {
                    state.control.clock_refused();
                } else if let Ok(by) = outcome {
                    state.control.clock_held(by);
                }
            }
        }
        Ok(())
    }

    /// The orderly end; the guard in [`Hold`] stands in for it after any other.
    async fn post_stop(
        &self,
        _: ActorRef<Self::Msg>,
        state: &mut BoardState<R>,
    ) -> Result<(), ActorProcessingErr> {
        state.station.set(ActorState::Draining, "lets the clock go");
        state.hold.release().await;
        Ok(())
    }
}

impl<R: Replica> BoardState<R> {
    fn new(plan: BoardPlan<R>) -> Self {
        let BoardPlan { clock, releases, readings, roster, alarm, telemetry, station } = plan;
        let board = Arc::clone(&clock.board);
        let now = Instant::now();
        Self {
            control: BoardControl::new(board.info().limits, ClockControl::Governed),
            board,
            hold: Hold::new(clock, releases),
            readings,
            roster,
            alarmed: alarm.subscribe(),
            alarm,
            telemetry,
            station,
            progress: Progress::default(),
            began: now,
            answered: now,
            late: false,
            failure: None,
            suspect: false,
        }
    }

    /// One reading, and all that follows from it.
    async fn step(&mut self, myself: &ActorRef<Letter<BoardMessage>>) {
        let began = Instant::now();
        // What comes during the reading is news already.
        let work = work(self.roster.clone(), self.board.info().board.clone());
        let reading = self.read().await;
        let driver = self.driver();
        let now = self.began.elapsed();
        if self.hold.is_pending() {
            self.control.clock_pending(now);
        }
        let judged = self.control.take(reading, driver, now);
        self.say(&judged);
        self.log_faults(&judged.reading);
        let Judged { reading, standing, order, next_read } = judged;
        if standing.control == ClockControl::Foreign {
            self.hold.leave();
        }
        let info = self.board.info().clone();
        self.publish(Taken { info, reading, standing, at: self.answered, silent: self.is_silent() });
        let (to, mailbox) = (myself.clone(), self.station.mailbox.clone());
        self.hold.step(order, move |outcome| {
            // An actor that has ended needs no answer.
            let _ = to.cast(mailbox.letter(BoardMessage::ClockDone(outcome)));
        });
        // A driver that did not answer gets the whole pause.
        let spent = if self.late { Duration::ZERO } else { began.elapsed() };
        self.read_after(next_read.saturating_sub(spent), work, myself);
    }

    async fn read(&mut self) -> Option<BoardReading> {
        let board = &self.board.info().board;
        let (was_late, had_failed) = (self.late, self.failure.is_some());
        let was_silent = self.is_silent();
        let answer = tokio::time::timeout(READING_DEADLINE, self.board.read()).await;
        (self.late, self.failure) = (answer.is_err(), None);
        let reading = match answer {
            Ok(Ok(reading)) => {
                self.answered = Instant::now();
                Some(reading)
            }
            Ok(Err(error)) => {
                if !had_failed {
                    tracing::warn!(%board, error, "the board cannot be read");
                }
                self.failure = Some(error);
                None
            }
            Err(_) => {
                if !was_late {
                    tracing::warn!(%board, "the board did not answer within {READING_DEADLINE:?}");
                }
                None
            }
        };
        if self.is_silent() && !was_silent {
            self.alarm.send_replace(());
            // Its own alarm is no news.
            self.alarmed.mark_unchanged();
        }
        reading
    }

    /// Whether the last attempt brought no reading.
    const fn is_silent(&self) -> bool {
        self.late || self.failure.is_some()
    }

    /// Whether the driver can be trusted, now that this board brought a reading or did not.
    fn driver(&mut self) -> Driver {
        let info = self.board.info();
        let board = &info.board;
        let progressing = self.progress.look(&self.roster.borrow(), board);
        let waits = self.hold.delays_readings();
        let suspect = self.is_silent() && !waits && driver_is_silent(&self.readings.borrow(), info);
        if suspect && !self.suspect {
            tracing::warn!(%board, progressing, "its driver reads no board and is suspect: only a board without progress is fenced");
        }
        self.suspect = suspect;
        match (suspect, waits) {
            (true, _) => Driver::Suspect { progressing },
            (false, true) => Driver::Busy,
            (false, false) => Driver::Sound,
        }
    }

    /// Reads again after this time, or as soon as another board begins to bring no readings, or work comes to one that is
    /// at rest.
    fn read_after(
        &mut self,
        rest: Duration,
        work: impl Future<Output = ()> + Send + 'static,
        myself: &ActorRef<Letter<BoardMessage>>,
    ) {
        let (to, mailbox) = (myself.clone(), self.station.mailbox.clone());
        // An alarm that came during the reading counts still.
        let mut alarmed = self.alarmed.clone();
        self.alarmed.mark_unchanged();
        tokio::spawn(async move {
            // Side by side: work that comes within the pause counts too.
            let begins = async { tokio::join!(tokio::time::sleep(PAUSE_AT_WORK), work) };
            // Whichever comes first: it is time to read then.
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = begins => {}
                _ = alarmed.changed() => {}
            }
            let _ = to.cast(mailbox.letter(BoardMessage::Read));
        });
    }

    /// Shows in the tree how the board stands.
    fn say(&self, judged: &Judged) {
        let Judged { standing, next_read, .. } = judged;
        let trouble = match (&self.failure, self.late, self.suspect) {
            (Some(error), ..) => format!("; it cannot be read: {error}"),
            (None, true, true) => "; its driver reads no board".to_owned(),
            (None, true, false) => "; it does not answer in time".to_owned(),
            (None, false, _) => String::new(),
        };
        let BoardStanding { band, duty, .. } = standing;
        self.station.runs(format!("{band}, {duty}; is read every {next_read:?}{trouble}"));
    }

    /// Faults are events: they stand in one reading alone.
    fn log_faults(&self, reading: &BoardReading) {
        let board = &self.board.info().board;
        for fault in &reading.faults {
            let (meaning, count) = (xid(fault.code), fault.count);
            if meaning.consequence == Consequence::Nothing {
                tracing::info!(%board, code = fault.code, count, "the driver tells of a fault: {}", meaning.name);
            } else {
                tracing::warn!(%board, code = fault.code, count, "the driver tells of a fault: {}", meaning.name);
            }
        }
    }

    /// Replaces what is known of this board. What changes how it may be used is reported at once, and so is a fault, which
    /// the next reading would cover up.
    fn publish(&self, taken: Taken) {
        let board = taken.info.board.clone();
        let mut urgent = !taken.reading.faults.is_empty();
        self.readings.send_modify(|readings| {
            let (band, duty) = (taken.standing.band, taken.standing.duty);
            let before = readings.insert(board, taken);
            urgent |= before.is_none_or(|old| (old.standing.band, old.standing.duty) != (band, duty));
        });
        if urgent
            && let Some(telemetry) = &*self.telemetry.borrow()
            && telemetry.send(TelemetryMessage::Changed).is_err()
        {
            tracing::debug!("the telemetry actor is being restarted, and will read everything");
        }
    }
}
