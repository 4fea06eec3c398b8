//! Heat on one board: what it feels, what it will feel at a given clock, and what of that may be asked of it.
//!
//! [`Thermal`] holds the two places whose heat is bounded, die and memory, each with a model fitted as readings come,
//! and the curve of power over the clock. [`Thermal::see`] takes in a reading, the decisions are made, and only then
//! [`Thermal::learn`] changes the fits: what is decided about a temperature never rests on what that temperature taught.

use std::time::Duration;

use helixflow_model::{BoardLimits, BoardReading, ClockReasons, MegaHertz, MilliCelsius};

mod bands;
mod clocks;
mod estimator;
mod governor;
mod limit;
mod place;
mod power;
mod speed;

pub(crate) use bands::Bands;
use clocks::{Clocks, LEVELS, level_of, share_of};
pub use governor::ClockOrder;
pub(crate) use governor::{Governor, Request};
use limit::{CORE_DEFAULT, Limit, MEMORY_DEFAULT};
use place::Place;
use power::PowerCurve;
use speed::speed_at;

/// Time between two readings counts for at most this: by then what the lags held has faded.
const LONGEST_STEP: Duration = Duration::from_secs(60);

/// Seconds without a clock held down by heat before it counts as beginning to be: firmware takes about a minute and a
/// half to give the whole clock back.
const UNTHROTTLED_BEFORE: f64 = 120.0;

/// What heat does on one board.
#[derive(Clone, Debug)]
pub(crate) struct Thermal {
    clocks: Clocks,
    core: Place,
    memory: Place,
    power: PowerCurve,
    reasons: ClockReasons,
    blind: bool,
    fresh: bool,
    seen: Option<Duration>,
    /// Seconds since the reading before, and since heat last held the clock down.
    step: f64,
    unthrottled: f64,
}

impl Thermal {
    pub(crate) fn new(limits: BoardLimits) -> Self {
        let power = PowerCurve::new(limits);
        Self {
            clocks: Clocks::new(limits),
            core: Place::core(Limit::core(limits, CORE_DEFAULT), power.most()),
            memory: Place::memory(Limit::memory(limits, MEMORY_DEFAULT), power.most()),
            power,
            reasons: ClockReasons::default(),
            blind: false,
            fresh: false,
            seen: None,
            step: 0.0,
            unthrottled: 0.0,
        }
    }

    /// Takes in a reading whose sensors are judged already; `limit` is the clock that we hold the board to.
    pub(crate) fn see(&mut self, reading: &BoardReading, limit: Option<MegaHertz>, now: Duration) {
        let step =
            self.seen.map_or(LONGEST_STEP, |at| now.saturating_sub(at).min(LONGEST_STEP)).as_secs_f64();
        (self.seen, self.step, self.fresh) = (Some(now), step, true);
        self.blind = reading.is_blind();
        self.reasons = reading.reasons.live().unwrap_or_default();
        let clock = self.clocks.see(reading, limit);
        let watts = self.power.see(reading, clock, step);
        let margin = reading.margin.live();
        self.core.see(reading.core.live().map(degrees), margin.map(degrees), watts, step);
        self.memory.see(reading.memory.live().map(degrees), None, watts, step);
    }

    /// No reading came; `blind` says whether that has lasted so long that the board counts as hot.
    pub(crate) const fn unseen(&mut self, blind: bool) {
        (self.blind, self.fresh) = (blind, false);
    }

    /// Learns from the reading that was seen last, unless that was done before.
    pub(crate) fn learn(&mut self) {
        if !self.fresh {
            return;
        }
        let onset = self.begins_to_throttle();
        let memory_is_nearer = self.memory.excess() > self.core.excess();
        self.core.learn(onset && !memory_is_nearer);
        self.memory.learn(onset && memory_is_nearer);
        self.power.learn();
    }

    /// Whether heat holds the clock down now and did not for long: a clock that the firmware gives back step by step is
    /// held down still at temperatures that no longer tell why.
    fn begins_to_throttle(&mut self) -> bool {
        let throttled = self.reasons.is_thermal();
        let begins = throttled && self.unthrottled >= UNTHROTTLED_BEFORE;
        self.unthrottled = if throttled { 0.0 } else { self.unthrottled + self.step };
        begins
    }

    /// Whether what is known is of now.
    pub(crate) const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether it also is all that heat is judged by: otherwise nothing may be eased. One silent sensor is enough, since
    /// it may be the one that would tell of the heat.
    pub(crate) const fn tells(&self) -> bool {
        self.fresh && !self.blind
    }

    /// Whether the board's heat cannot be told though it could before.
    pub(crate) const fn is_blind(&self) -> bool {
        self.blind
    }

    /// What holds the clock down now.
    pub(crate) const fn reasons(&self) -> ClockReasons {
        self.reasons
    }

    /// Whether the board works now.
    pub(crate) fn is_busy(&self) -> bool {
        self.power.is_busy()
    }

    /// The clocks that the board knows.
    pub(crate) const fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// Degrees by which the hotter place is beyond where heat costs speed; negative below, none where nothing is told.
    pub(crate) fn excess(&self) -> Option<f64> {
        let told = [self.core.excess(), self.memory.excess()];
        told.into_iter().filter(|excess| excess.is_finite()).reduce(f64::max)
    }

    /// Degrees by which the hotter place is beyond where it counts as critical.
    pub(crate) fn over_critical(&self) -> Option<f64> {
        let told = [self.core.over_critical(), self.memory.over_critical()];
        told.into_iter().filter(|over| over.is_finite()).reduce(f64::max)
    }

    /// The highest level of the clock that keeps every place `below` degrees under where heat costs speed, for the next
    /// seconds.
    pub(crate) fn highest_level(&self, below: f64) -> u32 {
        self.level_within(self.core.budget(below).min(self.memory.budget(below)))
    }

    /// The same for good.
    pub(crate) fn lasting_level(&self, below: f64) -> u32 {
        self.level_within(self.core.lasting_budget(below).min(self.memory.lasting_budget(below)))
    }

    /// The highest level that draws no more than `watts`, else the lowest; power grows with the level, so by halving.
    fn level_within(&self, watts: f64) -> u32 {
        let least = self.clocks.least_share();
        let fits = |level: u32| self.power.at(share_of(level, least)) <= watts;
        if fits(LEVELS) {
            return LEVELS;
        }
        let (mut low, mut high) = (0, LEVELS);
        while high - low > 1 {
            let middle = u32::midpoint(low, high);
            if fits(middle) { low = middle } else { high = middle }
        }
        low
    }

    /// The level at or under the clock that the board runs at now.
    pub(crate) fn present_level(&self) -> u32 {
        level_of(self.clocks.share(), self.clocks.least_share())
    }

    /// The share of the top clock at that level.
    pub(crate) fn highest_share(&self, below: f64) -> f64 {
        share_of(self.highest_level(below), self.clocks.least_share())
    }

    /// The die's temperature some seconds ahead at this share of the top clock.
    pub(crate) fn forecast(&self, share: f64) -> Option<MilliCelsius> {
        self.core.forecast(self.power.at(share)).map(millidegrees)
    }

    /// Degrees left some seconds ahead, at this share of the top clock, to where heat costs speed.
    pub(crate) fn headroom(&self, share: f64) -> Option<MilliCelsius> {
        let watts = self.power.at(share);
        let told = [self.core.headroom(watts), self.memory.headroom(watts)];
        told.into_iter().flatten().reduce(f64::min).map(millidegrees)
    }
}

fn degrees(value: MilliCelsius) -> f64 {
    f64::from(value.0) / 1000.0
}

/// Rounded; the cast saturates.
fn millidegrees(value: f64) -> MilliCelsius {
    MilliCelsius((value * 1000.0) as i32)
}
