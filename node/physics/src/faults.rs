//! What can go wrong with a board, each to be put on and taken off.

use std::fmt;
use std::str::FromStr;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Fallen off the bus (XID 79): every reading fails, and no work is done.
    OffTheBus,
    /// Memory errors by the thousand, some of which are not mended (XID 94, and 63 for the row that is replaced).
    EccStorm,
    /// The temperature sensors go on saying what they say now.
    StuckSensor,
    /// The temperature sensors are off by so many degrees. The firmware goes by the truth.
    LyingSensor(f64),
    /// Calls to the driver do not come back. The board itself goes on.
    BlockedCall,
    /// Hot air comes back to the inlet: 20 degrees more.
    HotInlet,
    /// The fans stand still.
    FailedFan,
    /// The memory sits badly on the sink: hot memory under a cool core.
    HotMemory,
    /// The machine's power supply asks the board to halve its clock.
    PowerBrake,
}

/// Degrees that [`Fault::HotInlet`] adds: what a missing blanking panel or a reversed aisle brings. An estimate.
const HOT_INLET: f64 = 20.0;
/// How much worse [`Fault::HotMemory`] conducts: enough to pass the memory's limit under load in cool air.
const HOT_MEMORY: f64 = 3.0;

/// No fault of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFault(String);

impl fmt::Display for UnknownFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no fault: use bus, ecc, stuck, lying:DEGREES, blocked, inlet, fan, memory or brake",
            self.0
        )
    }
}

impl std::error::Error for UnknownFault {}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        Ok(match name {
            "bus" => Self::OffTheBus,
            "ecc" => Self::EccStorm,
            "stuck" => Self::StuckSensor,
            "blocked" => Self::BlockedCall,
            "inlet" => Self::HotInlet,
            "fan" => Self::FailedFan,
            "memory" => Self::HotMemory,
            "brake" => Self::PowerBrake,
            _ => {
                let degrees = name.strip_prefix("lying:").and_then(|degrees| degrees.parse::<f64>().ok());
                let degrees = degrees.filter(|degrees| degrees.abs() <= 200.0);
                Self::LyingSensor(degrees.ok_or_else(|| UnknownFault(name.to_owned()))?)
            }
        })
    }
}

impl fmt::Display for Fault {
    /// As it is read by `from_str`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OffTheBus => f.write_str("bus"),
            Self::EccStorm => f.write_str("ecc"),
            Self::StuckSensor => f.write_str("stuck"),
            Self::LyingSensor(degrees) => write!(f, "lying:{degrees}"),
            Self::BlockedCall => f.write_str("blocked"),
            Self::HotInlet => f.write_str("inlet"),
            Self::FailedFan => f.write_str("fan"),
            Self::HotMemory => f.write_str("memory"),
            Self::PowerBrake => f.write_str("brake"),
        }
    }
}

/// The faults that are on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) off_the_bus: bool,
    pub(crate) ecc_storm: bool,
    /// Degrees of die and memory at which the sensors are stuck.
    pub(crate) stuck: Option<(f64, f64)>,
    pub(crate) lying: Option<f64>,
    pub(crate) blocked: bool,
    pub(crate) hot_inlet: bool,
    pub(crate) failed_fan: bool,
    pub(crate) hot_memory: bool,
    pub(crate) power_brake: bool,
}

impl Faults {
    /// Degrees above the inlet's own.
    pub(crate) fn inlet_rise(&self) -> f64 {
        if self.hot_inlet { HOT_INLET } else { 0.0 }
    }

    /// What the memory's thermal resistance is multiplied by.
    pub(crate) fn memory_contact(&self) -> f64 {
        if self.hot_memory { HOT_MEMORY } else { 1.0 }
    }

    /// Puts one on or takes it off; `now` is what the sensors of die and memory say.
    pub(crate) fn set(&mut self, fault: Fault, on: bool, now: (f64, f64)) {
        match fault {
            Fault::OffTheBus => self.off_the_bus = on,
            Fault::EccStorm => self.ecc_storm = on,
            Fault::StuckSensor if on => self.stuck = Some(self.stuck.unwrap_or(now)),
            Fault::StuckSensor => self.stuck = None,
            Fault::LyingSensor(degrees) => self.lying = on.then_some(degrees),
            Fault::BlockedCall => self.blocked = on,
            Fault::HotInlet => self.hot_inlet = on,
            Fault::FailedFan => self.failed_fan = on,
            Fault::HotMemory => self.hot_memory = on,
            Fault::PowerBrake => self.power_brake = on,
        }
    }

    /// Those that are on.
    pub(crate) fn list(&self) -> impl Iterator<Item = Fault> {
        let one = |on: bool, fault| on.then_some(fault);
        [
            one(self.off_the_bus, Fault::OffTheBus),
            one(self.ecc_storm, Fault::EccStorm),
            one(self.stuck.is_some(), Fault::StuckSensor),
            self.lying.map(Fault::LyingSensor),
            one(self.blocked, Fault::BlockedCall),
            one(self.hot_inlet, Fault::HotInlet),
            one(self.failed_fan, Fault::FailedFan),
            one(self.hot_memory, Fault::HotMemory),
            one(self.power_brake, Fault::PowerBrake),
        ]
        .into_iter()
        .flatten()
    }
}
