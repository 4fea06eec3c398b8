//! The firmware's own loops, which act whatever a governor asks for: the power limit, the gentle stepping for heat, the
//! hard halving, and the power brake.
//!
//! The power loop of a real board settles in some ten milliseconds, far faster than heat moves; here it is at once where
//! it would come to rest. The thermal rates are estimates: vendors publish where these loops begin, not how they go on.

use helixflow_model::{ClockReasons, MegaHertz};

use crate::electrical::Point;
use crate::parameters::Parameters;
use crate::surroundings::Work;
use crate::thermal::Heat;

/// Share of the highest clock that the gentle loop takes off a second, and again for each degree above the limit.
const STEP_DOWN: f64 = 0.03;
/// Share of the highest clock that it gives back a second: slower than it takes, or it would swing.
const STEP_UP: f64 = 0.01;
/// Degrees below the limit from which it gives back.
const GENTLE_HYSTERESIS: f64 = 2.0;
/// Degrees below the slowdown limit at which the hardware lets the clock go.
const HARD_HYSTERESIS: f64 = 5.0;
/// "By a factor of two or more" (NVML's words for the hardware's slowdown).
const HALF: f64 = 0.5;

/// Both bits of a slowdown for heat.
const HARD: ClockReasons = ClockReasons::HARDWARE_SLOWDOWN.with(ClockReasons::HARDWARE_THERMAL);
/// Both bits of a slowdown for the power supply.
const BRAKE: ClockReasons = ClockReasons::HARDWARE_SLOWDOWN.with(ClockReasons::POWER_BRAKE);

/// What a moment's temperatures, work and wishes come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) seconds: f64,
    pub(crate) work: Work,
    /// Watts of leakage at the highest clock's voltage.
    pub(crate) leakage: f64,
    pub(crate) brake: bool,
}

/// Clock control.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Firmware {
    /// MHz that were asked for at most.
    pub(crate) asked: f64,
    /// Watts.
    pub(crate) power_limit: f64,
    pub(crate) reasons: ClockReasons,
    /// MHz that the gentle loop allows; infinite while it has nothing to say.
    gentle: f64,
    halved: bool,
    /// The work that the two points below belong to.
    work: Work,
    /// Where the board runs, or would if work came.
    here: (u32, Point),
    /// One clock higher, while the power limit forbids it.
    above: Option<(u32, Point)>,
}

impl Firmware {
    pub(crate) fn new(parameters: &Parameters) -> Self {
        let most = parameters.clocks.most;
        let here = (rung(parameters, most), Point::at(parameters, most, Work::IDLE));
        Self {
            asked: most,
            power_limit: parameters.power.most,
            reasons: ClockReasons::IDLE,
            gentle: f64::INFINITY,
            halved: false,
            work: Work::IDLE,
            here,
            above: None,
        }
    }

    /// Where the board runs for the next moment.
    pub(crate) fn settle(&mut self, parameters: &Parameters, heat: &Heat, moment: &Moment) -> Point {
        let limits = &parameters.limits;
        let excess = (heat.die - limits.operating).max(heat.memory - limits.memory);
        let reach = if self.halved { limits.slowdown - HARD_HYSTERESIS } else { limits.slowdown };
        self.halved = heat.die >= reach;
        self.step_gently(parameters, excess, moment);

        let half = if self.halved || moment.brake { HALF * parameters.clocks.most } else { f64::INFINITY };
        let allowed = self.asked.min(self.gentle).min(half).max(parameters.clocks.least);
        let capped = self.climb(parameters, rung(parameters, allowed), moment);
        self.reasons = self.tell(parameters, excess, half, capped, moment);
        if moment.work.busy > 0.0 { self.here.1 } else { Point::idle(parameters, self.here.1) }
    }

    /// The clock at which work runs, or would if it came.
    pub(crate) fn ready_clock(&self) -> MegaHertz {
        MegaHertz(self.here.1.clock as u32)
    }

    /// Whether no loop is under way that heat has set off.
    pub(crate) fn is_free(&self) -> bool {
        self.gentle.is_infinite() && !self.halved
    }

    fn step_gently(&mut self, parameters: &Parameters, excess: f64, moment: &Moment) {
        let most = parameters.clocks.most;
        if excess > 0.0 && moment.work.busy > 0.0 {
            let step = STEP_DOWN * (1.0 + excess) * most * moment.seconds;
            // It begins at the clock of now. Later it may stand between two rungs, or short steps would add up to more.
            let clock = self.here.1.clock;
            let from = if self.gentle < clock + parameters.clocks.step { self.gentle } else { clock };
            self.gentle = (from - step).max(parameters.clocks.least);
        } else if excess < -GENTLE_HYSTERESIS {
            let given = self.gentle + STEP_UP * most * moment.seconds;
            self.gentle = if given < most { given } else { f64::INFINITY };
        }
    }

    /// Takes the highest clock up to `most` that keeps to the power limit, and says whether the limit is in the way.
    fn climb(&mut self, parameters: &Parameters, most: u32, moment: &Moment) -> bool {
        let fits = |point: &Point| point.power(parameters, moment.leakage) <= self.power_limit;
        let known = self.work == moment.work;
        self.work = moment.work;
        if known
            && let Some((next, above)) = &self.above
            && *next <= most
            && fits(&self.here.1)
            && !fits(above)
        {
            return true;
        }
        let at = |rung| (rung, Point::at(parameters, clock(parameters, rung), moment.work));
        let wished = if known && self.here.0 == most { self.here } else { at(most) };
        if fits(&wished.1) || most == 0 {
            (self.here, self.above) = (wished, None);
            return false;
        }
        // Power grows with the clock, so the highest one that fits is found by halving. The lowest is always allowed.
        let (mut low, mut high) = (at(0), wished);
        while high.0 - low.0 > 1 {
            let middle = at(u32::midpoint(low.0, high.0));
            if fits(&middle.1) { low = middle } else { high = middle }
        }
        (self.here, self.above) = (low, Some(high));
        true
    }

    fn tell(
        &self,
        parameters: &Parameters,
        excess: f64,
        half: f64,
        capped: bool,
        moment: &Moment,
    ) -> ClockReasons {
        let mut reasons = ClockReasons(0);
        let mut tell = |these: ClockReasons, holds: bool| {
            if holds {
                reasons = reasons.with(these);
            }
        };
        tell(HARD, self.halved);
        tell(BRAKE, moment.brake);
        if moment.work.busy > 0.0 {
            let most = parameters.clocks.most;
            let gently = self.gentle < self.asked.min(most) && self.gentle < half && !capped;
            tell(ClockReasons::SOFTWARE_THERMAL, gently || excess > 0.0);
            tell(ClockReasons::POWER_CAP, capped);
            let asked = self.asked < most && self.asked <= self.gentle.min(half) && !capped;
            tell(ClockReasons::REQUESTED, asked);
        } else {
            tell(ClockReasons::IDLE, true);
        }
        reasons
    }
}

/// The highest rung of the ladder of clocks at or below a clock of at least the lowest.
fn rung(parameters: &Parameters, clock: f64) -> u32 {
    ((clock - parameters.clocks.least) / parameters.clocks.step) as u32
}

/// MHz of a rung.
fn clock(parameters: &Parameters, rung: u32) -> f64 {
    parameters.clocks.least + f64::from(rung) * parameters.clocks.step
}
