//! The figures that policies are compared by.

use helixflow_simulator::Outcome;
use serde::Serialize;

/// One figure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Seconds of boards in which heat held the clock down, by firmware or hardware (0x20, 0x40).
    ThrottleSeconds,
    /// The highest rise of a die over the air at its own inlet.
    PeakRise,
    /// Requests a second that met the objective.
    Goodput,
    /// The 99th percentile of the time to the first token.
    P99Ttft,
    /// Energy of the boards by tokens generated.
    EnergyPerToken,
}

impl Figure {
    /// All, in the order of the report.
    pub const ALL: [Self; 5] =
        [Self::ThrottleSeconds, Self::PeakRise, Self::Goodput, Self::P99Ttft, Self::EnergyPerToken];

    /// As rows are named.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThrottleSeconds => "throttle-seconds",
            Self::PeakRise => "peak-rise",
            Self::Goodput => "goodput",
            Self::P99Ttft => "p99-ttft",
            Self::EnergyPerToken => "energy-per-token",
        }
    }

    /// Its unit.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::ThrottleSeconds | Self::P99Ttft => "s",
            Self::PeakRise => "K",
            Self::Goodput => "requests/s",
            Self::EnergyPerToken => "J",
        }
    }

    /// Whether more of it is better.
    #[must_use]
    pub const fn is_better_higher(self) -> bool {
        matches!(self, Self::Goodput)
    }

    /// Of a run.
    #[must_use]
    pub fn of(self, outcome: &Outcome) -> f64 {
        match self {
            Self::ThrottleSeconds => outcome.held.thermal,
            Self::PeakRise => outcome.rise,
            Self::Goodput => outcome.goodput(),
            Self::P99Ttft => outcome.first.quantile(0.99).unwrap_or_default(),
            Self::EnergyPerToken => outcome.energy_per_token(),
        }
    }
}
