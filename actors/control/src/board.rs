//! One board, judged: what its reading says, how hot it counts, which clock it gets, what it may be asked to do.
//!
//! [`BoardControl::take`] is the one entry: the board actor calls it with real readings, the simulated fleet with those
//! of a model. Heat is decided on with what was known before the reading, and learnt from afterwards: so of two
//! readings that differ in temperature alone, the hotter never gets the higher clock, the milder band or the milder
//! duty. Reading the board, setting its clock and telling others of it are the caller's.

use std::time::Duration;

use helixflow_model::{Band, BoardLimits, BoardReading, BoardStanding, ClockControl, Duty, Permille};

use crate::faults::Faults;
use crate::thermal::{Bands, ClockOrder, Governor, Request, Thermal};

mod clock_watch;
mod ladder;
mod pace;
mod punctuality;
mod sensing;

use clock_watch::ClockWatch;
pub use clock_watch::HeldBy;
use ladder::{Ladder, Signs};
pub use pace::FAST as PAUSE_AT_WORK;
use pace::Pace;
use punctuality::Punctuality;
pub use punctuality::{Driver, READING_DEADLINE};
use sensing::Sensing;

/// What one attempt to read the board led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The reading, with each sensor's state as the readings before tell it; the one before where there is none.
    pub reading: BoardReading,
    /// What follows from it.
    pub standing: BoardStanding,
    /// What to do with the clock, where that changes.
    pub order: Option<ClockOrder>,
    /// How long to wait before the next attempt.
    pub next_read: Duration,
}

/// Everything that is decided about one board, and what the readings so far have taught.
#[derive(Clone, Debug)]
pub struct BoardControl {
    sensing: Sensing,
    punctuality: Punctuality,
    thermal: Thermal,
    bands: Bands,
    governor: Governor,
    watch: ClockWatch,
    faults: Faults,
    ladder: Ladder,
    pace: Pace,
    /// The last reading, as it was judged.
    last: BoardReading,
}

impl BoardControl {
    /// A board of which nothing is known but its limits, and whether its clock may be set.
    pub fn new(limits: BoardLimits, control: ClockControl) -> Self {
        Self {
            sensing: Sensing::new(limits),
            punctuality: Punctuality::default(),
            thermal: Thermal::new(limits),
            bands: Bands::default(),
            governor: Governor::default(),
            watch: ClockWatch::new(control),
            faults: Faults::default(),
            ladder: Ladder::default(),
            pace: Pace::default(),
            last: BoardReading::default(),
        }
    }

    /// Takes in one attempt to read the board, at `now`: the time since its actor began. `raw` has each sensor's value
    /// as the device told it; it is none where nothing came within [`READING_DEADLINE`], or an error.
    pub fn take(&mut self, raw: Option<BoardReading>, driver: Driver, now: Duration) -> Judged {
        self.punctuality.take(raw.is_some(), driver, now);
        match raw {
            Some(raw) => self.see(raw, now),
            None => self.miss(driver, now),
        }
        let band = self.bands.take(&self.thermal, now);
        let control = self.control(now);
        let governed = control == ClockControl::Governed;
        let request = Request { band, governed, held: self.watch.suspects(now), now };
        let order = self.governor.take(&self.thermal, &request);
        if order.is_some() {
            self.watch.ordered(now);
        }
        let duty = self.duty(band, now);
        let standing = self.standing(band, duty, control);
        self.thermal.learn();
        let next_read = self.pace.take(&self.last, self.thermal.is_busy(), &standing, now);
        Judged { reading: self.last.clone(), standing, order, next_read }
    }

    /// An order of ours is under way still, or failed and is to be tried again: what the clock shows at `now` is not what
    /// was ordered, and nobody else's doing.
    pub const fn clock_pending(&mut self, now: Duration) {
        self.watch.ordered(now);
    }

    /// An order of ours was carried out, by this.
    pub const fn clock_held(&mut self, by: HeldBy) {
        self.watch.held(by);
    }

    /// The driver refused an order of ours: from now on the board is only watched.
    pub const fn clock_refused(&mut self) {
        self.watch.refused();
    }

    fn see(&mut self, raw: BoardReading, now: Duration) {
        self.last = self.sensing.take(raw, now);
        self.faults.take(&self.last, now);
        self.thermal.see(&self.last, self.governor.limit(&self.thermal), now);
    }

    /// No reading came. The last one stands, but what had happened by then is told once.
    fn miss(&mut self, driver: Driver, now: Duration) {
        self.last.faults.clear();
        self.thermal.unseen(self.last.is_blind() || self.punctuality.is_blind(driver, now));
    }

    /// Who decides on the clock; a reading of before shows nothing new.
    fn control(&mut self, now: Duration) -> ClockControl {
        if self.thermal.is_fresh() {
            self.watch.take(&self.last, self.governor.limit(&self.thermal), now);
        }
        self.watch.control()
    }

    fn duty(&mut self, band: Band, now: Duration) -> Duty {
        let faults = self.faults.demand(now);
        let fenced = self.punctuality.is_fenced();
        let (blind, fresh) = (self.thermal.is_blind(), self.thermal.is_fresh());
        self.ladder.take(&Signs { band, blind, fresh, faults, fenced, now })
    }

    fn standing(&self, band: Band, duty: Duty, control: ClockControl) -> BoardStanding {
        let asked = self.governor.asked(&self.thermal);
        BoardStanding {
            band,
            duty,
            control,
            target_clock: self.governor.limit(&self.thermal),
            forecast: self.thermal.forecast(asked),
            headroom: self.thermal.headroom(asked),
            speed: self.governor.speed(&self.thermal),
            weight: Permille(self.punctuality.weight()),
        }
    }
}
