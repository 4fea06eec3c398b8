//! The policies that are compared: who gets a request, and what is done about clocks.

/// A policy. All see the same requests, the same air and the same boards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// (a) One after the other.
    RoundRobin,
    /// (b) Whoever has the fewest requests, heat unseen; any of those that have as few. The peer that others are held to.
    LeastLoaded,
    /// (c) Two at random, and of these the one with fewer requests.
    TwoChoices,
    /// (d) As (b), with the clock of every board kept down all day.
    ClockCap,
    /// (e) As (b), with the power limit of every board kept down all day.
    PowerCap,
    /// (f) The governor on every board, and the routing that knows heat.
    HelixFlow,
    /// (g) The same with the thermal term of the routing at zero.
    WithoutThermalTerm,
}

impl Policy {
    /// All, in the order of the report.
    pub const ALL: [Self; 7] = [
        Self::RoundRobin,
        Self::LeastLoaded,
        Self::TwoChoices,
        Self::ClockCap,
        Self::PowerCap,
        Self::HelixFlow,
        Self::WithoutThermalTerm,
    ];

    /// As it is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastLoaded => "least-loaded",
            Self::TwoChoices => "two-choices",
            Self::ClockCap => "clock-cap",
            Self::PowerCap => "power-cap",
            Self::HelixFlow => "helixflow",
            Self::WithoutThermalTerm => "helixflow-without-thermal-term",
        }
    }

    /// Its letter in the study.
    pub const fn letter(self) -> char {
        match self {
            Self::RoundRobin => 'a',
            Self::LeastLoaded => 'b',
            Self::TwoChoices => 'c',
            Self::ClockCap => 'd',
            Self::PowerCap => 'e',
            Self::HelixFlow => 'f',
            Self::WithoutThermalTerm => 'g',
        }
    }

    /// Whether our governor sits on the boards.
    pub const fn is_governed(self) -> bool {
        matches!(self, Self::HelixFlow | Self::WithoutThermalTerm)
    }
}
