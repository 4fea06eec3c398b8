//! How heat moves: three bodies, by the implicit midpoint rule.
//!
//! `C dT/dt = P - (T - T_next) / R` for die, memory and sink. The rule is unconditionally stable, of second order, and
//! loses no energy; for this shape (two bodies on a third) its equations have a closed solution.

use crate::parameters::Thermal;

/// Temperatures in degrees Celsius.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Heat {
    pub(crate) die: f64,
    pub(crate) memory: f64,
    pub(crate) sink: f64,
}

/// Watts that become heat in each body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources {
    pub(crate) die: f64,
    pub(crate) memory: f64,
    pub(crate) sink: f64,
}

/// A body on the sink: `2C/h`, `1/(2C/h + G)`, `G/(2C/h + G)`.
#[derive(Clone, Copy, Debug)]
struct Leg {
    inertia: f64,
    gain: f64,
    passed: f64,
}

impl Leg {
    fn new(capacity: f64, resistance: f64, per_half: f64) -> Self {
        let (inertia, conductance) = (capacity * per_half, 1.0 / resistance);
        let gain = 1.0 / (inertia + conductance);
        Self { inertia, gain, passed: conductance * gain }
    }

    /// What the sink gets from the body, for each degree by which the sink is colder.
    fn tie(&self) -> f64 {
        self.passed * self.inertia
    }
}

/// Everything about a step that does not depend on temperatures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stride {
    die: Leg,
    memory: Leg,
    sink_inertia: f64,
    air: f64,
    sink_gain: f64,
}

impl Stride {
    /// Steps of `seconds` with `air` watts a degree from sink to air; `contact` multiplies the memory's resistance.
    pub(crate) fn new(thermal: &Thermal, air: f64, contact: f64, seconds: f64) -> Self {
        let per_half = 2.0 / seconds;
        let die = Leg::new(thermal.die.capacity, thermal.die.resistance, per_half);
        let memory = Leg::new(thermal.memory.capacity, thermal.memory.resistance * contact, per_half);
        let sink_inertia = thermal.sink.capacity * per_half;
        let sink_gain = 1.0 / (sink_inertia + air + die.tie() + memory.tie());
        Self { die, memory, sink_inertia, air, sink_gain }
    }

    /// The temperatures one step later.
    pub(crate) fn advance(&self, heat: Heat, sources: Sources, inlet: f64) -> Heat {
        let die = self.die.inertia * heat.die + sources.die;
        let memory = self.memory.inertia * heat.memory + sources.memory;
        let sink = self.sink_inertia * heat.sink + sources.sink + self.air * inlet;
        let middle = (sink + self.die.passed * die + self.memory.passed * memory) * self.sink_gain;
        Heat {
            die: 2.0 * (die * self.die.gain + self.die.passed * middle) - heat.die,
            memory: 2.0 * (memory * self.memory.gain + self.memory.passed * middle) - heat.memory,
            sink: 2.0 * middle - heat.sink,
        }
    }
}
