//! A board as the cluster sees it: what it is, and what its node makes of its readings.

use serde::{Deserialize, Serialize};

use crate::{BoardId, MegaHertz, MilliCelsius, MilliWatts};

/// What stands behind a board's readings. The log holds it too: new ones go at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// An NVIDIA GPU, read through NVML.
    Nvidia,
    /// An AMD GPU, read through the amdgpu driver's files.
    Amd,
    /// No GPU: a physical model, heated by the work that the CPU does.
    Simulated,
}

/// What does not change about a board while its driver is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardInfo {
    /// Which board.
    pub board: BoardId,
    /// The product's name.
    pub name: String,
    /// What stands behind it.
    pub kind: DeviceKind,
    /// What it must keep to.
    pub limits: BoardLimits,
}

/// A board's own limits, read from it: they differ by product. `None` where the driver does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardLimits {
    /// The highest temperature of the die at which the firmware leaves the clock alone.
    pub operating: Option<MilliCelsius>,
    /// Where the hardware halves the clock.
    pub slowdown: Option<MilliCelsius>,
    /// Where the hardware turns the board off.
    pub shutdown: Option<MilliCelsius>,
    /// The highest operating temperature of the memory.
    pub memory: Option<MilliCelsius>,
    /// The lowest power limit that can be set.
    pub power_least: Option<MilliWatts>,
    /// The highest.
    pub power_most: Option<MilliWatts>,
    /// The lowest clock of the compute units that can be asked for.
    pub clock_least: Option<MegaHertz>,
    /// The highest.
    pub clock_most: Option<MegaHertz>,
}

/// How hot a board is, for whoever gives it work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Band {
    /// Far from any limit.
    #[default]
    Cool,
    /// It gets less work than a cool one.
    Warm,
    /// Close to the limit, or its sensors cannot be trusted.
    Hot,
    /// At the limit: it gets no new work.
    Critical,
}

/// What a board may be asked to do: the rungs of the ladder, from the mildest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// Everything.
    #[default]
    Full,
    /// Back from quarantine: it serves, no further shard is placed on it, and critical heat, or what would drain another,
    /// sends it back.
    Probation,
    /// It serves what it has; no further shard is placed on it.
    NoNewShards,
    /// Its shards are to be placed elsewhere; it gets requests only where nobody else can take them.
    Drain,
    /// It gets nothing.
    Quarantine,
}

impl Duty {
    /// Whether placement may put another shard there.
    pub const fn takes_shards(self) -> bool {
        matches!(self, Self::Full)
    }

    /// Whether shards that are there may stay.
    pub const fn keeps_shards(self) -> bool {
        matches!(self, Self::Full | Self::Probation | Self::NoNewShards)
    }
}

/// Who decides on a board's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockControl {
    /// The node may not set it, or the board cannot be told: readings alone.
    #[default]
    MonitorOnly,
    /// The node's governor.
    Governed,
    /// Somebody else has set it since: the node leaves it alone.
    Foreign,
}

macro_rules! words {
    ($($name:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        impl $name {
            /// As it is written and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

words! {
    DeviceKind { Nvidia = "nvidia", Amd = "amd", Simulated = "simulated" }
    Band { Cool = "cool", Warm = "warm", Hot = "hot", Critical = "critical" }
    Duty {
        Full = "full", Probation = "probation", NoNewShards = "no-new-shards", Drain = "drain",
        Quarantine = "quarantine",
    }
    ClockControl { MonitorOnly = "monitor-only", Governed = "governed", Foreign = "foreign" }
}
