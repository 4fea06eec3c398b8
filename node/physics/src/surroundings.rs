//! What comes to a board from outside: air, and work.

/// The air that a board gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surroundings {
    /// Degrees Celsius of the air at the inlet.
    pub inlet: f64,
    /// Share of the fans that turn, 0 to 1.
    pub fans: f64,
}

impl Default for Surroundings {
    /// A cool aisle, and all fans.
    fn default() -> Self {
        Self { inlet: 25.0, fans: 1.0 }
    }
}

/// What a board is given to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Share of the time in which it works, 0 to 1. The caller knows how long its work takes at the board's speed.
    pub busy: f64,
    /// Share of the work's time, at the highest clock, in which the compute units wait for memory: about 0.2 while
    /// prompts are read, 0.7 and above while tokens are generated one by one. That share does not gain by the clock.
    pub memory_bound: f64,
}

impl Work {
    /// No work.
    pub const IDLE: Self = Self { busy: 0.0, memory_bound: 0.0 };

    /// With both shares from 0 to 1; what is no number counts as 0.
    pub(crate) fn bounded(self) -> Self {
        let share = |value: f64| if value > 0.0 { value.min(1.0) } else { 0.0 };
        Self { busy: share(self.busy), memory_bound: share(self.memory_bound) }
    }
}
