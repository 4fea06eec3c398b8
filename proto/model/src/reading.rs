//! One reading of a board: what its sensors say at one moment.

use serde::{Deserialize, Serialize};

use crate::{Bytes, ClockReasons, DeviceId, MegaHertz, MilliCelsius, MilliWatts, Permille, Sensed};

/// What a board's sensors say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardReading {
    /// Temperature of the die; of its hottest spot where the board tells that one.
    pub core: Sensed<MilliCelsius>,
    /// Temperature of the memory.
    pub memory: Sensed<MilliCelsius>,
    /// Degrees left to the hardware's slowdown, as the driver tells it.
    pub margin: Sensed<MilliCelsius>,
    /// Power drawn; the instant's where the driver has it, else the average of about a second.
    pub power: Sensed<MilliWatts>,
    /// The most power that the firmware allows now.
    pub power_limit: Sensed<MilliWatts>,
    /// Clock of the compute units.
    pub core_clock: Sensed<MegaHertz>,
    /// Clock of the memory.
    pub memory_clock: Sensed<MegaHertz>,
    /// Share of time busy.
    pub utilization: Sensed<Permille>,
    /// Speed of the fan, of its full one.
    pub fan: Sensed<Permille>,
    /// What holds the clock down.
    pub reasons: Sensed<ClockReasons>,
    /// Memory errors since the driver was loaded.
    pub ecc: Sensed<EccErrors>,
    /// Memory rows that were replaced.
    pub remapping: Sensed<RowRemapping>,
    /// The link to the machine.
    pub pcie: Sensed<PcieLink>,
    /// Fault events since the last reading, each code once.
    pub faults: Vec<FaultEvent>,
    /// What the devices on the board say.
    pub devices: Vec<DeviceReading>,
}

impl BoardReading {
    /// Whether a sensor that heat is judged by worked before and does not now: such a board counts as hot.
    pub const fn is_blind(&self) -> bool {
        self.core.is_faulty() || self.memory.is_faulty() || self.margin.is_faulty()
    }
}

/// What one device on a board says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReading {
    /// Which device.
    pub device: DeviceId,
    /// Which part of its board it is.
    pub partition: Partition,
    /// Memory in all.
    pub memory_total: Bytes,
    /// Memory in use.
    pub memory_used: Bytes,
}

/// Which part of a board a device is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Partition {
    /// All of it.
    #[default]
    Whole,
    /// An instance of NVIDIA's multi-instance GPU.
    Mig,
    /// A compute partition of an AMD board.
    Amd,
}

/// Memory errors, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EccErrors {
    /// Mended by the hardware.
    pub corrected: u64,
    /// Not mended: data was lost.
    pub uncorrected: u64,
}

/// Memory rows that spare ones have replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRemapping {
    /// After errors that were mended.
    pub corrected: u32,
    /// After errors that were not.
    pub uncorrected: u32,
    /// A replacement waits for a reset of the board.
    pub pending: bool,
    /// A row could not be replaced: the board is to be exchanged.
    pub failed: bool,
}

/// The link to the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PcieLink {
    /// Generation of the protocol now.
    pub generation: u8,
    /// Lanes now.
    pub width: u8,
    /// Packets sent again since the driver was loaded.
    pub replays: u32,
}

/// A fault that the driver tells of: for NVIDIA an XID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// The driver's number of it.
    pub code: u32,
    /// How often it came since the last reading, at least once.
    pub count: u32,
}
