//! What holds a board's clock down, in the bits of NVML; other vendors' reasons are told by the same.

use serde::{Deserialize, Serialize};

/// A set of reasons (`nvmlClocksEventReasons` of nvml.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockReasons(pub u32);

impl ClockReasons {
    /// Nothing runs.
    pub const IDLE: Self = Self(0x1);
    /// A clock that was asked for, ours among them.
    pub const REQUESTED: Self = Self(0x2);
    /// The power limit, gently.
    pub const POWER_CAP: Self = Self(0x4);
    /// The hardware, by half or more; comes with [`Self::HARDWARE_THERMAL`] or [`Self::POWER_BRAKE`].
    pub const HARDWARE_SLOWDOWN: Self = Self(0x8);
    /// Boards that keep in step.
    pub const SYNC_BOOST: Self = Self(0x10);
    /// Temperature, gently, by the firmware.
    pub const SOFTWARE_THERMAL: Self = Self(0x20);
    /// Temperature, by half or more, by the hardware.
    pub const HARDWARE_THERMAL: Self = Self(0x40);
    /// The machine's power supply, by the hardware.
    pub const POWER_BRAKE: Self = Self(0x80);

    const NAMES: [(Self, &'static str); 8] = [
        (Self::IDLE, "idle"),
        (Self::REQUESTED, "requested"),
        (Self::POWER_CAP, "power-cap"),
        (Self::HARDWARE_SLOWDOWN, "hardware-slowdown"),
        (Self::SYNC_BOOST, "sync-boost"),
        (Self::SOFTWARE_THERMAL, "software-thermal"),
        (Self::HARDWARE_THERMAL, "hardware-thermal"),
        (Self::POWER_BRAKE, "power-brake"),
    ];

    /// Whether any of these is among them.
    pub const fn has(self, these: Self) -> bool {
        self.0 & these.0 != 0
    }

    /// These too.
    #[must_use]
    pub const fn with(self, these: Self) -> Self {
        Self(self.0 | these.0)
    }

    /// Whether heat holds the clock down: the firmware's or the hardware's doing, not ours.
    pub const fn is_thermal(self) -> bool {
        self.has(Self(Self::SOFTWARE_THERMAL.0 | Self::HARDWARE_THERMAL.0))
    }

    /// The names of those that are known, in the order of their bits.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(reason, _)| self.has(*reason)).map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_named_and_heat_is_told_from_power() {
        let reasons = ClockReasons::POWER_CAP.with(ClockReasons::SOFTWARE_THERMAL);
        assert_eq!(Vec::from_iter(reasons.names()), ["power-cap", "software-thermal"]);
        assert!(reasons.is_thermal());
        assert!(!ClockReasons::POWER_BRAKE.with(ClockReasons::HARDWARE_SLOWDOWN).is_thermal());
    }
}
