//! The policies that are compared: who gets a request, and what is done about clocks.

use helixflow_model::ClockControl;
use helixflow_policy::routing::Thermal;

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
    /// (h) The governor on every board under the routing of (b).
    GovernorAlone,
    /// (i) As (b), but a prompt that is still to be computed counts as several requests, as it does for (f).
    PromptsAlone,
    /// (j) The routing of (f) over boards that are only watched, with the clock of every board kept down all day.
    RoutedClockCap,
    /// (k) The same where each board has a cap of its own, by how well it is cooled.
    RoutedRiseCap,
    /// (l) As (f), where no clock may be set: boards are watched, and the firmware alone acts.
    OnlyWatched,
}

/// Who picks a board for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Router {
    /// The next one.
    InTurn,
    /// One of those with the fewest requests.
    FewestOfAll,
    /// The same with prompts that are still to be computed weighed.
    FewestWithPrompts,
    /// The one with fewer requests of two.
    FewerOfTwo,
    /// HelixFlow's own.
    HelixFlow(Thermal),
}

impl Policy {
    /// All, in the order of the report: after those that are compared the ones that take (f) apart.
    pub const ALL: [Self; 12] = [
        Self::RoundRobin,
        Self::LeastLoaded,
        Self::TwoChoices,
        Self::ClockCap,
        Self::PowerCap,
        Self::HelixFlow,
        Self::WithoutThermalTerm,
        Self::GovernorAlone,
        Self::PromptsAlone,
        Self::RoutedClockCap,
        Self::RoutedRiseCap,
        Self::OnlyWatched,
    ];

    /// Those of the study's question.
    pub const COMPARED: &'static [Self] = Self::ALL.split_at(7).0;

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
            Self::GovernorAlone => "governor-alone",
            Self::PromptsAlone => "prompts-alone",
            Self::RoutedClockCap => "helixflow-over-clock-cap",
            Self::RoutedRiseCap => "helixflow-over-rise-cap",
            Self::OnlyWatched => "helixflow-only-watching",
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
            Self::GovernorAlone => 'h',
            Self::PromptsAlone => 'i',
            Self::RoutedClockCap => 'j',
            Self::RoutedRiseCap => 'k',
            Self::OnlyWatched => 'l',
        }
    }

    /// Who picks.
    pub(crate) const fn router(self) -> Router {
        match self {
            Self::RoundRobin => Router::InTurn,
            Self::TwoChoices => Router::FewerOfTwo,
            Self::LeastLoaded | Self::ClockCap | Self::PowerCap | Self::GovernorAlone => Router::FewestOfAll,
            Self::PromptsAlone => Router::FewestWithPrompts,
            Self::WithoutThermalTerm => Router::HelixFlow(Thermal::Zero),
            Self::HelixFlow | Self::RoutedClockCap | Self::RoutedRiseCap | Self::OnlyWatched => {
                Router::HelixFlow(Thermal::Counted)
            }
        }
    }

    /// What our control of boards may do; none where it is not there.
    pub(crate) const fn control(self) -> Option<ClockControl> {
        match self {
            Self::RoundRobin
            | Self::LeastLoaded
            | Self::TwoChoices
            | Self::ClockCap
            | Self::PowerCap
            | Self::PromptsAlone => None,
            Self::HelixFlow | Self::WithoutThermalTerm | Self::GovernorAlone => Some(ClockControl::Governed),
            Self::RoutedClockCap | Self::RoutedRiseCap | Self::OnlyWatched => Some(ClockControl::MonitorOnly),
        }
    }
}
