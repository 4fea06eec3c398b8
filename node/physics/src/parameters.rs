//! What a board of one product is made of: its clocks, its power, its heat path, its limits.

use helixflow_model::{BoardLimits, MegaHertz, MilliCelsius, MilliWatts};

/// Share by which the resistance between die and sink differs from board to board: the paste and the mounting.
const RESISTANCE_SPREAD: f64 = 0.06;
/// Share by which leakage differs from board to board: the silicon. Both are estimates.
const LEAKAGE_SPREAD: f64 = 0.15;

/// Whose driver reads the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// NVIDIA: faults come as XIDs.
    Nvidia,
    /// AMD.
    Amd,
}

/// Everything that is the same for all boards of a product. Where each figure comes from stands beside the product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// By which configuration names it.
    pub key: &'static str,
    /// The product's name as its driver tells it.
    pub name: &'static str,
    /// Whose driver reads it.
    pub vendor: Vendor,
    /// Its clocks.
    pub clocks: Clocks,
    /// Where its power goes.
    pub power: Power,
    /// How its heat leaves it.
    pub thermal: Thermal,
    /// The fans in front of it.
    pub cooling: Cooling,
    /// What it must not exceed.
    pub limits: Temperatures,
    /// Whether the driver tells the memory's temperature.
    pub tells_memory: bool,
    /// Whether the driver tells the margin to the limit.
    pub tells_margin: bool,
}

/// Clocks, in MHz.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clocks {
    /// The lowest of the compute units under load.
    pub least: f64,
    /// The highest; speed is told relative to it.
    pub most: f64,
    /// From one clock to the next. `most` is a whole number of them above `least`.
    pub step: f64,
    /// While nothing runs.
    pub idle: f64,
    /// Of the memory; it does not change.
    pub memory: f64,
}

/// Power, in watts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power {
    /// The lowest limit that can be set.
    pub least: f64,
    /// The highest limit, which is also the one that holds unless another is set.
    pub most: f64,
    /// Regulators and links, at all times; their heat goes into the sink.
    pub other: f64,
    /// The memory at rest.
    pub memory_idle: f64,
    /// What reading and writing at full bandwidth adds.
    pub memory_busy: f64,
    /// Switching of the compute units at the highest clock in work that waits for nothing.
    pub core: f64,
    /// Leakage of the die at 60 °C and the voltage of the highest clock.
    pub leakage: f64,
    /// Voltage that a clock of zero would need, of that of the highest; it grows evenly in between.
    pub voltage_floor: f64,
}

/// A body that stores heat and passes it on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node {
    /// Joules a degree.
    pub capacity: f64,
    /// Degrees a watt on the way out: of die and memory into the sink, of the sink into the air at full fans.
    pub resistance: f64,
}

/// The heat path: die and memory side by side on one sink, the sink in the air stream.
///
/// Two bodies without the sink would either lack its half minute of inertia or the die's few seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thermal {
    /// The die with its lid and paste.
    pub die: Node,
    /// The memory, all of its parts taken together.
    pub memory: Node,
    /// The heat sink.
    pub sink: Node,
}

/// The fans that blow over the sink: the machine's own, driven by the die's temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cooling {
    /// Share of full speed at and below `low`.
    pub least: f64,
    /// Degrees up to which the fans stay slow.
    pub low: f64,
    /// Degrees from which they run at full speed; in between the speed grows evenly.
    pub high: f64,
    /// Conductance from sink to air when no fan turns, of that at full speed: what the rest of the machine draws along.
    pub draught: f64,
}

/// Degrees Celsius.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperatures {
    /// Above it the firmware steps the clock down, gently.
    pub operating: f64,
    /// From it on the hardware halves the clock.
    pub slowdown: f64,
    /// From it on the board turns itself off.
    pub shutdown: f64,
    /// Above it the firmware steps the clock down for the memory's sake.
    pub memory: f64,
    /// From it on the board turns itself off for the memory's sake.
    pub memory_shutdown: f64,
}

impl Parameters {
    /// The product of this name (`h100`, `a100`, `l4`, `mi300x`), in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        crate::PRODUCTS.into_iter().find(|product| product.key.eq_ignore_ascii_case(name))
    }

    /// One board of the product: no two sit on their sinks alike, and no two leak alike.
    #[must_use]
    pub fn varied(mut self, seed: u64) -> Self {
        self.thermal.die.resistance *= 1.0 + RESISTANCE_SPREAD * crate::sensors::noise(seed, 0);
        self.power.leakage *= 1.0 + LEAKAGE_SPREAD * crate::sensors::noise(seed, 1);
        self
    }

    /// Speed at a clock, of that at the highest one. See [`crate::Work`] for `memory_bound`.
    pub fn speed(&self, clock: MegaHertz, memory_bound: f64) -> f64 {
        let clock = f64::from(clock.0).clamp(self.clocks.least, self.clocks.most);
        crate::electrical::speed(clock / self.clocks.most, memory_bound.clamp(0.0, 1.0))
    }

    /// The limits as a driver tells them.
    pub fn limits(&self) -> BoardLimits {
        let degrees = |celsius: f64| Some(MilliCelsius((celsius * 1000.0) as i32));
        BoardLimits {
            operating: degrees(self.limits.operating),
            slowdown: degrees(self.limits.slowdown),
            shutdown: degrees(self.limits.shutdown),
            memory: if self.tells_memory { degrees(self.limits.memory) } else { None },
            power_least: Some(MilliWatts((self.power.least * 1000.0) as u32)),
            power_most: Some(MilliWatts((self.power.most * 1000.0) as u32)),
            clock_least: Some(MegaHertz(self.clocks.least as u32)),
            clock_most: Some(MegaHertz(self.clocks.most as u32)),
        }
    }
}
