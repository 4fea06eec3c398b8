//! Who decides on the clock: a change made by somebody else is noticed, and not fought.
//!
//! No driver tells which clock is locked, so the clock itself is watched. It shows a hand that is not ours when, for
//! some seconds of work, it runs above our limit, or is held down by request while we ask for nothing. Then no orders
//! go out. A person's limit that can still be seen is left alone for ever. Ours that was taken away looks the same as a
//! driver that was loaded anew, and such a board would run without its governor until the node ends: so after a long
//! rest, doubled each time, one more try is made. One order an hour fights nobody.

use std::time::Duration;

use helixflow_model::{BoardReading, ClockControl, ClockReasons, MegaHertz};

/// A new order is given so long to take effect, the average over which drivers tell clocks included.
const SETTLES: Duration = Duration::from_secs(3);

/// Evidence must last so long: a clock is read between two changes now and then.
const LASTS: Duration = Duration::from_secs(3);

/// A clock this much above our limit is above it: clocks are rounded to steps of 15 MHz.
const ABOVE: u32 = 45;

/// Utilisation, permille, from which a clock is that of work: idle boards choose their own.
const BUSY: u16 = 200;

/// The first rest before another try, and the longest.
const REST: Duration = Duration::from_secs(3600);
const LONGEST_REST: Duration = Duration::from_secs(24 * 3600);

/// The watch over one board's clock.
#[derive(Clone, Debug)]
pub(super) struct ClockWatch {
    control: ClockControl,
    /// When our last order went out.
    ordered: Option<Duration>,
    /// Since when the clock shows another hand.
    shown: Option<Duration>,
    /// When another hand was last seen, while the control is foreign.
    foreign: Duration,
    rest: Duration,
}

impl ClockWatch {
    pub(super) const fn new(control: ClockControl) -> Self {
        Self { control, ordered: None, shown: None, foreign: Duration::ZERO, rest: REST }
    }

    /// Who decides, after this reading, while we hold the board to `limit`.
    pub(super) fn take(
        &mut self,
        reading: &BoardReading,
        limit: Option<MegaHertz>,
        now: Duration,
    ) -> ClockControl {
        match self.control {
            ClockControl::MonitorOnly => {}
            ClockControl::Governed => self.watch(reading, limit, now),
            ClockControl::Foreign => self.wait(reading, now),
        }
        self.control
    }

    /// An order went out.
    pub(super) const fn ordered(&mut self, now: Duration) {
        self.ordered = Some(now);
        self.shown = None;
    }

    /// The driver refused an order: from now on the clock is only watched.
    pub(super) const fn refused(&mut self) {
        self.control = ClockControl::MonitorOnly;
    }

    fn watch(&mut self, reading: &BoardReading, limit: Option<MegaHertz>, now: Duration) {
        let settled = self.ordered.is_none_or(|at| now.saturating_sub(at) >= SETTLES);
        if !settled || !shows_another_hand(reading, limit) {
            self.shown = None;
            return;
        }
        let since = *self.shown.get_or_insert(now);
        if now.saturating_sub(since) >= LASTS {
            self.control = ClockControl::Foreign;
            self.foreign = now;
            self.shown = None;
        }
    }

    fn wait(&mut self, reading: &BoardReading, now: Duration) {
        if shows_another_hand(reading, None) {
            self.foreign = now;
        } else if now.saturating_sub(self.foreign) >= self.rest {
            self.control = ClockControl::Governed;
            self.ordered = Some(now);
            self.rest = (self.rest * 2).min(LONGEST_REST);
        }
    }
}

fn shows_another_hand(reading: &BoardReading, limit: Option<MegaHertz>) -> bool {
    let busy = reading.utilization.live().is_some_and(|busy| busy.0 >= BUSY);
    let Some(limit) = limit else {
        return busy && reading.reasons.live().is_some_and(|reasons| reasons.has(ClockReasons::REQUESTED));
    };
    busy && reading.core_clock.live().is_some_and(|clock| clock.0 > limit.0.saturating_add(ABOVE))
}
