//! The governor: the highest clock whose forecast stays under the target, changed quickly downwards and slowly upwards.
//!
//! It decides from budgets that fall as the temperature rises, and every rule here keeps that order: a hotter reading
//! never gives a higher clock. Where the clock may not be set it gives no orders, and tells only what speed to expect.

use std::time::Duration;

use helixflow_model::{Band, ClockReasons, MegaHertz, Permille};

use super::clocks::{LEVELS, share_of};
use super::{Thermal, speed_at};

/// The target lies so many degrees under where heat costs speed: a rounded degree, and the ripple of the clock's steps.
/// What the board's readings stray comes on top.
const TARGET_BELOW: f64 = 1.5;

/// The clock rises only where the forecast stays under the target by so much more: the gap that keeps it from going up
/// and down by one step for ever.
const UP_BELOW: f64 = 0.6;

/// The most steps down in one order, and the least time between two: a forecast that jumps by a rounded degree takes
/// no more than it must, and a real rise is still answered in full within a second.
const DOWN_STEPS: u32 = 25;
const DOWN_EVERY: Duration = Duration::from_millis(300);

/// A board that keeps so many degrees under the target at its highest clock for good is let go at once.
const RELEASE_BELOW: f64 = 8.0;

/// Fewer steps down than this can wait for so long: a sink that warms asks for one after the other, and each order is a
/// call to the driver.
const FEW_STEPS: u32 = 3;
const FEW_EVERY: Duration = Duration::from_secs(1);

/// The steps up in one order, the least time between two, and the rest after a step down: the die shows most of what a
/// step does within two seconds, the sink within fifteen. So the clock turns downwards and up again at most 240 times
/// an hour, whatever happens.
const UP_STEPS: u32 = 4;
const UP_EVERY: Duration = Duration::from_secs(2);
const UP_AFTER_DOWN: Duration = Duration::from_secs(15);

/// The clock of a board that is critical, or whose heat cannot be told, is at most this share of its range: around
/// there a board draws less than half its power, which every working cooler carries.
const BLIND_LEVEL: u32 = LEVELS / 2;

/// Holds the clock down whatever we ask for: heat, or power.
const HELD_DOWN: ClockReasons = ClockReasons::SOFTWARE_THERMAL
    .with(ClockReasons::HARDWARE_THERMAL)
    .with(ClockReasons::HARDWARE_SLOWDOWN)
    .with(ClockReasons::POWER_BRAKE)
    .with(ClockReasons::POWER_CAP);

/// What is to be done with the board's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockOrder {
    /// Keep the clock at or below this.
    Limit(MegaHertz),
    /// Take our limit away.
    Release,
}

/// What the governor is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// How hot the board counts.
    pub(crate) band: Band,
    /// Whether the clock may be set.
    pub(crate) governed: bool,
    /// Whether it is to be left as it is for the moment.
    pub(crate) held: bool,
    /// The time since the process began.
    pub(crate) now: Duration,
}

/// The clock that we hold one board to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Governor {
    /// None where the board may run as fast as it likes.
    level: Option<u32>,
    /// Whether we asked for nothing while the last reading was taken.
    was_free: bool,
    lowered: Option<Duration>,
    raised: Option<Duration>,
}

impl Governor {
    /// Decides on the clock.
    pub(crate) fn take(&mut self, thermal: &Thermal, request: &Request) -> Option<ClockOrder> {
        self.was_free = self.level.is_none();
        if !request.governed {
            *self = Self { was_free: self.was_free, ..Self::default() };
            return None;
        }
        if request.held {
            return None;
        }
        let current = self.level.unwrap_or(LEVELS);
        let next = self.next_level(thermal, request, current);
        if next < current {
            self.lowered = Some(request.now);
        } else if next > current {
            self.raised = Some(request.now);
        } else {
            return None;
        }
        self.level = (next < LEVELS).then_some(next);
        match self.level {
            None => Some(ClockOrder::Release),
            Some(_) => self.limit(thermal).map(ClockOrder::Limit),
        }
    }

    fn next_level(&self, thermal: &Thermal, request: &Request, current: u32) -> u32 {
        let most = most_level(thermal, request.band);
        let held = thermal.highest_level(TARGET_BELOW).min(most);
        let since = |at: Option<Duration>| at.map_or(Duration::MAX, |at| request.now.saturating_sub(at));
        if held < current {
            let lower = held.max(current.saturating_sub(DOWN_STEPS));
            let rest = if current - held < FEW_STEPS { FEW_EVERY } else { DOWN_EVERY };
            return if since(self.lowered) >= rest { lower } else { current };
        }
        let rested =
            since(self.lowered) >= UP_AFTER_DOWN && since(self.raised) >= UP_EVERY && thermal.tells();
        let higher = thermal.lasting_level(TARGET_BELOW + UP_BELOW).min(most);
        let has_room = most == LEVELS && thermal.lasting_level(TARGET_BELOW + RELEASE_BELOW) == LEVELS;
        let steps = if has_room { LEVELS } else { UP_STEPS };
        if rested { higher.clamp(current, current + steps) } else { current }
    }

    /// The clock that we hold the board to; none where it may run as fast as it likes.
    pub(crate) fn limit(&self, thermal: &Thermal) -> Option<MegaHertz> {
        let share = share_of(self.level?, thermal.clocks().least_share());
        thermal.clocks().at(share)
    }

    /// The share of the highest clock that is asked for.
    pub(crate) fn asked(&self, thermal: &Thermal) -> f64 {
        self.level.map_or(1.0, |level| share_of(level, thermal.clocks().least_share()))
    }

    /// The speed to expect over the next seconds: at the clock asked for, or at the lower one to which heat or power
    /// will hold the board by itself.
    pub(crate) fn speed(&self, thermal: &Thermal) -> Permille {
        let held = thermal.highest_share(0.0);
        // While we asked for nothing, a clock that was held down by request was somebody else's.
        let foreign = self.was_free && thermal.reasons().has(ClockReasons::REQUESTED);
        let now = if thermal.is_busy() && (foreign || thermal.reasons().has(HELD_DOWN)) {
            thermal.clocks().share()
        } else {
            1.0
        };
        speed_at(self.asked(thermal).min(held).min(now))
    }
}

/// The highest level that may be asked for, whatever is forecast. Where heat holds the clock down although the forecast
/// is well, the forecast is wrong, and the board is given no more than what it runs at.
fn most_level(thermal: &Thermal, band: Band) -> u32 {
    let careful = if thermal.is_blind() || band == Band::Critical { BLIND_LEVEL } else { LEVELS };
    let throttled = thermal.is_busy() && thermal.reasons().is_thermal();
    if throttled { careful.min(thermal.present_level()) } else { careful }
}
