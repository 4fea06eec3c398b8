//! Who decides on the clock: a change made by somebody else is noticed, and not fought.
//!
//! No driver tells which clock is locked, so the clock itself is watched. It shows a hand that is not ours when, for
//! some seconds of work, it runs above our limit, or is held down by request far below it, or while we ask for nothing.
//! Then no orders go out. A person's limit that can still be seen is left alone for ever. Ours that was taken away looks
//! the same as a driver that was loaded anew, and such a board would run without its governor until the node ends: so
//! after a long rest, doubled each time, one more try is made. One order an hour fights nobody.
//!
//! A board that cannot lock its clock is held by its power limit. Its clock only follows that, and is not compared.

use std::time::Duration;

use helixflow_model::{BoardReading, ClockControl, ClockReasons, MegaHertz};

/// A new order is given so long to take effect, the average over which drivers tell clocks included.
const SETTLES: Duration = Duration::from_secs(3);

/// Evidence must last so long, and without a gap as long: a clock is read between two changes now and then.
const LASTS: Duration = Duration::from_secs(3);

/// A clock this much above our limit is above it: clocks are rounded to steps of 15 MHz.
const ABOVE: u32 = 45;

/// A clock this much below our limit, held down by request and by nothing else, is below another's limit.
const BELOW: u32 = 150;

/// Utilisation, permille, from which a clock is that of work: idle boards choose their own.
const BUSY: u16 = 200;

/// The first rest before another try, and the longest.
const REST: Duration = Duration::from_secs(3600);
const LONGEST_REST: Duration = Duration::from_secs(24 * 3600);

/// By what a board is held to a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeldBy {
    /// Its clock itself, which shows in every reading.
    #[default]
    Clock,
    /// A power limit that stands in: the clock may be another than the one asked for.
    Power,
}

/// The watch over one board's clock.
#[derive(Clone, Debug)]
pub(super) struct ClockWatch {
    control: ClockControl,
    held_by: HeldBy,
    /// When our last order went out.
    ordered: Option<Duration>,
    /// That the clock shows another hand.
    shown: Option<Shown>,
    /// When it seemed to, before our last order had settled.
    unsettled: Option<Duration>,
    /// When another hand was last seen, while the control is foreign.
    foreign: Duration,
    rest: Duration,
}

/// Evidence of another hand: the first reading that showed it, and the last.
#[derive(Clone, Copy, Debug)]
struct Shown {
    since: Duration,
    last: Duration,
}

/// Whether there was no gap since.
fn is_recent(last: Duration, now: Duration) -> bool {
    now.saturating_sub(last) < LASTS
}

impl ClockWatch {
    pub(super) const fn new(control: ClockControl) -> Self {
        Self {
            control,
            held_by: HeldBy::Clock,
            ordered: None,
            shown: None,
            unsettled: None,
            foreign: Duration::ZERO,
            rest: REST,
        }
    }

    /// Takes in a reading while we hold the board to `limit`.
    pub(super) fn take(&mut self, reading: &BoardReading, limit: Option<MegaHertz>, now: Duration) {
        match self.control {
            ClockControl::MonitorOnly => {}
            ClockControl::Governed => self.watch(reading, limit, now),
            ClockControl::Foreign => self.wait(reading, now),
        }
    }

    /// Who decides.
    pub(super) const fn control(&self) -> ClockControl {
        self.control
    }

    /// Whether the clock shows another hand, though not for long enough: until that is settled an order of ours might undo
    /// what somebody has just set.
    pub(super) fn suspects(&self, now: Duration) -> bool {
        let last = self.unsettled.or(self.shown.map(|shown| shown.last));
        last.is_some_and(|last| is_recent(last, now))
    }

    /// An order went out, or is not carried out yet.
    pub(super) const fn ordered(&mut self, now: Duration) {
        self.ordered = Some(now);
        self.shown = None;
    }

    /// An order was carried out, by this.
    pub(super) const fn held(&mut self, by: HeldBy) {
        self.held_by = by;
    }

    /// The driver refused an order: from now on the clock is only watched.
    pub(super) const fn refused(&mut self) {
        self.control = ClockControl::MonitorOnly;
    }

    fn watch(&mut self, reading: &BoardReading, limit: Option<MegaHertz>, now: Duration) {
        let settled = self.ordered.is_none_or(|at| now.saturating_sub(at) >= SETTLES);
        let is_told = limit.is_none() || self.held_by == HeldBy::Clock;
        let shows = is_told && shows_another_hand(reading, limit);
        // A limit that we have just let go, or somebody's: to set another has to wait until that is known.
        self.unsettled = (shows && !settled && limit.is_none()).then_some(now);
        if !settled || !shows {
            self.shown = None;
            return;
        }
        let before = self.shown.filter(|shown| is_recent(shown.last, now));
        let since = before.map_or(now, |shown| shown.since);
        self.shown = Some(Shown { since, last: now });
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
    if reading.utilization.live().is_none_or(|busy| busy.0 < BUSY) {
        return false;
    }
    let reasons = reading.reasons.live().unwrap_or_default();
    let Some(limit) = limit else { return reasons.has(ClockReasons::REQUESTED) };
    let Some(clock) = reading.core_clock.live() else { return false };
    let far_below = clock.0.saturating_add(BELOW) < limit.0;
    clock.0 > limit.0.saturating_add(ABOVE) || (far_below && reasons == ClockReasons::REQUESTED)
}

#[cfg(test)]
mod tests;
