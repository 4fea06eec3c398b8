//! A GPU board for the tests: two bodies, leakage, a gentle and a hard loop of its firmware, sensors of whole degrees.
//!
//! Its figures are drawn within wide bounds, wider than those of real products, so that the governor is held to boards
//! that it was not written for.

use std::time::Duration;

use helixflow_control::ClockOrder;
use helixflow_model::{
    BoardLimits, BoardReading, ClockReasons, MegaHertz, MilliCelsius, MilliWatts, Permille, Sensed,
};

use crate::rig::Heated;

/// Seconds of one step.
const STEP: f64 = 0.05;

/// What a board is made of.
#[derive(Clone, Copy, Debug)]
pub struct Make {
    /// Watts at full work and the highest clock, when cool.
    pub watts: f64,
    /// Degrees of the die over the sink at those watts.
    pub die_rise: f64,
    /// Degrees of the sink over the inlet at those watts.
    pub sink_rise: f64,
    /// Seconds in which the die follows the sink.
    pub die_seconds: f64,
    /// Seconds in which the sink follows the inlet.
    pub sink_seconds: f64,
    /// Share of the work's power that grows with the clock, the rest with its cube.
    pub linear: f64,
    /// Seed of the sensors' noise.
    pub seed: u64,
}

impl Make {
    /// A board like those in datacenters.
    pub const USUAL: Self = Self {
        watts: 700.0,
        die_rise: 20.0,
        sink_rise: 32.0,
        die_seconds: 3.0,
        sink_seconds: 40.0,
        linear: 0.3,
        seed: 1,
    };
}

/// Its limits.
pub const OPERATING: f64 = 87.0;
pub const SLOWDOWN: f64 = 89.0;
const CLOCK_MOST: f64 = 1980.0;
const CLOCK_LEAST: f64 = 345.0;

/// Share of its full power that a board draws idle.
const IDLE: f64 = 0.12;

/// The board itself.
#[derive(Clone, Debug)]
pub struct Plant {
    make: Make,
    inlet: f64,
    die: f64,
    sink: f64,
    /// Share of the highest clock that we, and that the firmware, allow.
    asked: f64,
    gentle: f64,
    halved: bool,
    work: f64,
    watts: f64,
    throttled: f64,
    halved_for: f64,
    done: f64,
    draws: u64,
}

impl Plant {
    pub fn new(make: Make, inlet: f64) -> Self {
        Self {
            make,
            inlet,
            die: inlet + IDLE * (make.die_rise + make.sink_rise),
            sink: inlet + IDLE * make.sink_rise,
            asked: 1.0,
            gentle: 1.0,
            halved: false,
            work: 0.0,
            watts: IDLE * make.watts,
            throttled: 0.0,
            halved_for: 0.0,
            done: 0.0,
            draws: make.seed,
        }
    }

    /// The share of the highest clock at which it runs.
    fn clock(&self) -> f64 {
        let hard = if self.halved { 0.5 } else { 1.0 };
        self.asked.min(self.gentle).min(hard)
    }

    /// Watts at a share of the highest clock.
    fn draws(&self, share: f64, work: f64) -> f64 {
        let leaks = 0.08 * self.make.watts * (1.0 + 0.012 * (self.die - 60.0));
        let switching = self.make.linear * share + (1.0 - self.make.linear) * share * share * share;
        self.make.watts * (IDLE - 0.08 + work * (1.0 - IDLE) * switching) + leaks.max(0.0)
    }

    /// The die's temperature at the lowest clock and full work in the end: what physics permits at best.
    pub fn coolest(&self, inlet: f64) -> f64 {
        let mut coolest = self.clone();
        for _ in 0..40 {
            let watts = coolest.draws(CLOCK_LEAST / CLOCK_MOST, 1.0);
            coolest.die = inlet + watts / self.make.watts * (self.make.die_rise + self.make.sink_rise);
        }
        coolest.die
    }

    fn step(&mut self, seconds: f64) {
        let busy = self.work > 0.0;
        if self.die > OPERATING && busy {
            self.gentle =
                (self.gentle.min(self.clock()) - 0.03 * (1.0 + self.die - OPERATING) * seconds).max(0.2);
        } else if self.die < OPERATING - 2.0 {
            self.gentle = (self.gentle + 0.01 * seconds).min(1.0);
        }
        self.halved = self.die >= if self.halved { SLOWDOWN - 5.0 } else { SLOWDOWN };
        self.watts = self.draws(self.clock(), self.work);
        let share = self.watts / self.make.watts;
        self.die +=
            (self.sink + share * self.make.die_rise - self.die) * (seconds / self.make.die_seconds).min(1.0);
        self.sink += (self.inlet + share * self.make.sink_rise - self.sink)
            * (seconds / self.make.sink_seconds).min(1.0);
        self.throttled += if busy && self.is_throttled() { seconds } else { 0.0 };
        self.halved_for += if busy && self.halved { seconds } else { 0.0 };
        self.done += self.work * self.clock() * seconds;
    }

    fn is_throttled(&self) -> bool {
        self.halved || self.die > OPERATING || self.gentle < self.asked
    }

    fn reasons(&self) -> ClockReasons {
        let mut reasons = ClockReasons::default();
        let mut tell = |reason, holds: bool| reasons = if holds { reasons.with(reason) } else { reasons };
        tell(ClockReasons::HARDWARE_THERMAL.with(ClockReasons::HARDWARE_SLOWDOWN), self.halved);
        tell(
            ClockReasons::SOFTWARE_THERMAL,
            self.work > 0.0 && (self.die > OPERATING || self.gentle < self.asked),
        );
        tell(ClockReasons::REQUESTED, self.work > 0.0 && self.asked < 1.0 && self.asked <= self.gentle);
        tell(ClockReasons::IDLE, self.work <= 0.0);
        reasons
    }

    fn reading(&mut self) -> BoardReading {
        let (heat, power) = (self.noise() * 0.4, 1.0 + self.noise() * 0.01);
        BoardReading {
            core: Sensed::Live(MilliCelsius((self.die + heat).round() as i32 * 1000)),
            power: Sensed::Live(MilliWatts((self.watts * power * 1000.0) as u32)),
            core_clock: Sensed::Live(MegaHertz((self.clock() * CLOCK_MOST) as u32)),
            utilization: Sensed::Live(Permille((self.work * 1000.0) as u16)),
            reasons: Sensed::Live(self.reasons()),
            ..BoardReading::default()
        }
    }

    /// Between -1 and 1, by the constants of Knuth's MMIX generator.
    fn noise(&mut self) -> f64 {
        self.draws =
            self.draws.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.draws >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    }
}

impl Heated for Plant {
    fn limits(&self) -> BoardLimits {
        BoardLimits {
            operating: Some(MilliCelsius((OPERATING * 1000.0) as i32)),
            slowdown: Some(MilliCelsius((SLOWDOWN * 1000.0) as i32)),
            shutdown: None,
            memory: None,
            power_least: None,
            power_most: Some(MilliWatts((self.make.watts * 1000.0) as u32)),
            clock_least: Some(MegaHertz(CLOCK_LEAST as u32)),
            clock_most: Some(MegaHertz(CLOCK_MOST as u32)),
        }
    }

    fn read(&mut self) -> Option<BoardReading> {
        Some(self.reading())
    }

    fn set_inlet(&mut self, inlet: f64) {
        self.inlet = inlet;
    }

    fn order(&mut self, order: ClockOrder) {
        self.asked = match order {
            ClockOrder::Limit(clock) => f64::from(clock.0) / CLOCK_MOST,
            ClockOrder::Release => 1.0,
        };
    }

    fn pass(&mut self, time: Duration, work: f64) {
        self.work = work;
        let mut left = time.as_secs_f64();
        while left > 1e-9 {
            self.step(left.min(STEP));
            left -= STEP;
        }
    }

    fn die(&self) -> f64 {
        self.die
    }

    fn sums(&self) -> [f64; 3] {
        [self.throttled, self.halved_for, self.done]
    }
}
