//! Clock to speed, and clock to power.
//!
//! Speed: work is parted into time that shrinks with the clock and time that waits for memory, as in the roofline model
//! (Williams, Waterman, Patterson, 2009). Switching power goes with voltage squared times clock, leakage with voltage
//! squared and, over the range of a die, with a quadratic in temperature that follows an exponential of 2 % a degree.

use crate::parameters::{Parameters, Power};
use crate::surroundings::Work;

/// Below this share of the highest clock, the compute units ask for too little to keep the memory busy. An estimate:
/// published measurements of token generation see no loss of speed down to about half of the clock.
const KNEE: f64 = 0.5;
/// Switching of compute units that wait for memory, of that when they do not. An estimate, from about 480 W that an H100
/// draws while it generates tokens, of 700 W in matrix products.
const WAITING: f64 = 0.45;
/// Switching between two pieces of work, while the clock stays up: the clock tree. An estimate, from about 100 W that an
/// H100 draws with a program that rests.
const BETWEEN: f64 = 0.08;
/// Memory traffic of work that waits for nothing, of the full bandwidth. An estimate.
const TRAFFIC: f64 = 0.3;
/// Leakage grows by this share a degree, about 60 °C.
const LEAKAGE_SLOPE: f64 = 0.02;
/// And by this share a degree squared: the second term of the exponential.
const LEAKAGE_CURVE: f64 = 0.0002;
/// Where leakage is stated.
const LEAKAGE_AT: f64 = 60.0;

/// What a board draws and does at one clock under some work, but for leakage, which moves with temperature.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point {
    /// MHz.
    pub(crate) clock: f64,
    /// Of that at the highest clock.
    pub(crate) speed: f64,
    /// Watts of switching in the die.
    pub(crate) core: f64,
    /// Watts of the memory.
    pub(crate) memory: f64,
    /// Voltage, of that at the highest clock, squared.
    pub(crate) voltage_squared: f64,
}

/// Speed at a share of the highest clock; exactly 1 at the highest.
pub(crate) fn speed(share: f64, memory_bound: f64) -> f64 {
    share * pieces(share, memory_bound)
}

/// Pieces of work a cycle, of those at the highest clock.
fn pieces(share: f64, memory_bound: f64) -> f64 {
    if share >= 1.0 {
        return 1.0;
    }
    let feed = (share / KNEE).min(1.0);
    feed / ((1.0 - memory_bound) * feed + memory_bound * share)
}

/// Leakage in watts at a temperature of the die and the voltage of the highest clock.
pub(crate) fn leakage(power: &Power, die: f64) -> f64 {
    let above = die - LEAKAGE_AT;
    power.leakage * (1.0 + above * (LEAKAGE_SLOPE + above * LEAKAGE_CURVE))
}

impl Point {
    /// Under work, at a clock in MHz.
    pub(crate) fn at(parameters: &Parameters, clock: f64, work: Work) -> Self {
        let power = &parameters.power;
        let share = clock / parameters.clocks.most;
        let voltage = power.voltage_floor + (1.0 - power.voltage_floor) * share;
        let voltage_squared = voltage * voltage;
        let pieces = pieces(share, work.memory_bound);
        let speed = share * pieces;
        let computing = (1.0 - work.memory_bound) * pieces;
        let switching = computing + (1.0 - computing) * WAITING;
        let traffic = speed * (work.memory_bound + (1.0 - work.memory_bound) * TRAFFIC);
        Self {
            clock,
            speed,
            core: power.core
                * share
                * voltage_squared
                * (work.busy * switching + (1.0 - work.busy) * BETWEEN),
            memory: power.memory_idle + work.busy * traffic * power.memory_busy,
            voltage_squared,
        }
    }

    /// At rest: the clock falls and is gated. `ready` is the point at which work would run if it came.
    pub(crate) fn idle(parameters: &Parameters, ready: Self) -> Self {
        let power = &parameters.power;
        let share = parameters.clocks.idle / parameters.clocks.most;
        let voltage = power.voltage_floor + (1.0 - power.voltage_floor) * share;
        Self {
            clock: parameters.clocks.idle.min(ready.clock),
            speed: ready.speed,
            core: 0.0,
            memory: power.memory_idle,
            voltage_squared: voltage * voltage,
        }
    }

    /// Watts of the whole board, given the leakage at the highest clock's voltage.
    pub(crate) fn power(&self, parameters: &Parameters, leakage: f64) -> f64 {
        parameters.power.other + self.core + self.memory + self.voltage_squared * leakage
    }
}
