//! What came of time: what happened while it passed, and where a board stands after it.

use helixflow_model::ClockReasons;

/// What happened while time passed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Passed {
    /// Seconds that passed.
    pub seconds: f64,
    /// Energy drawn.
    pub joules: f64,
    /// Busy seconds.
    pub busy: f64,
    /// The same, each counted by its clock, as a share of the highest.
    pub clock: f64,
    /// Work done: the same, each counted by its speed.
    pub work: f64,
    /// Seconds of the gentle slowdown for heat (0x20).
    pub software_thermal: f64,
    /// Seconds of the hard slowdown for heat (0x40).
    pub hardware_thermal: f64,
    /// Seconds with either of them.
    pub thermal: f64,
    /// Seconds at the power limit (0x4).
    pub power_cap: f64,
    /// Seconds of the power brake (0x80).
    pub power_brake: f64,
    /// Seconds at a clock that was asked for (0x2).
    pub requested: f64,
}

/// What no sensor tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Degrees Celsius of the die.
    pub die: f64,
    /// Of the memory.
    pub memory: f64,
    /// Of the heat sink.
    pub sink: f64,
    /// Of the air at the inlet, faults included.
    pub inlet: f64,
    /// Speed of the fans, of their full one.
    pub fan: f64,
    /// Watts.
    pub power: f64,
    /// Of that at the highest clock.
    pub speed: f64,
    /// Whether it was too hot and has turned itself off.
    pub turned_off: bool,
}

impl Passed {
    /// Counts time that passed under these reasons.
    pub(crate) fn count(&mut self, seconds: f64, reasons: ClockReasons) {
        let counted = |these| if reasons.has(these) { seconds } else { 0.0 };
        self.seconds += seconds;
        self.software_thermal += counted(ClockReasons::SOFTWARE_THERMAL);
        self.hardware_thermal += counted(ClockReasons::HARDWARE_THERMAL);
        self.thermal += if reasons.is_thermal() { seconds } else { 0.0 };
        self.power_cap += counted(ClockReasons::POWER_CAP);
        self.power_brake += counted(ClockReasons::POWER_BRAKE);
        self.requested += counted(ClockReasons::REQUESTED);
    }
}
