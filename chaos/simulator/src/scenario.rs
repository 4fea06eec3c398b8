//! A day in a machine room, as data: who stands where, which air reaches whom, which fans fail, what is asked.
//!
//! Rows are shares of the fleet, so one scenario fits any number of boards. What a board is, and how its model computes,
//! is not said here: only which product it is.

use serde::{Deserialize, Serialize};

use crate::Curve;

/// A scenario. Times are hours of one day, from 0 to 24.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// The product of every board.
    pub product: ProductName,
    /// Rows of servers; each holds the same share of the fleet.
    pub rows: usize,
    /// The air that reaches the boards.
    pub inlet: Inlet,
    /// Rows whose air is warmer.
    #[serde(default)]
    pub warmer: Vec<Warmer>,
    /// Rows whose fans fail.
    #[serde(default)]
    pub fans: Vec<FanFailure>,
    /// What is asked of the fleet.
    pub load: Load,
    /// How long the requests are.
    pub requests: Requests,
    /// When it is worst.
    pub peak: Peak,
}

/// A product that the physical model knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProductName {
    /// NVIDIA H100, 80 GB.
    H100,
    /// NVIDIA A100, 80 GB.
    A100,
    /// NVIDIA L4, 24 GB.
    L4,
    /// AMD Instinct MI300X, 192 GB.
    Mi300x,
}

impl ProductName {
    /// By which the physical model knows it.
    pub const fn key(self) -> &'static str {
        match self {
            Self::H100 => "h100",
            Self::A100 => "a100",
            Self::L4 => "l4",
            Self::Mi300x => "mi300x",
        }
    }
}

/// The air that reaches a board's heat sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inlet {
    /// Its temperature over the day, °C.
    pub celsius: Curve,
    /// How it differs from board to board: the standard deviation, K. Drawn once a board.
    pub spread: f64,
    /// By how much the last board in the air of a server breathes warmer air than the first, K.
    pub behind: f64,
}

/// Rows whose air is warmer than the rest's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warmer {
    /// Which rows, from 0.
    pub rows: Vec<usize>,
    /// By how much, K.
    pub celsius: Curve,
}

/// Rows whose fans turn slower for a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FanFailure {
    /// Which rows, from 0.
    pub rows: Vec<usize>,
    /// From this hour.
    pub from: f64,
    /// Up to this hour.
    pub to: f64,
    /// Air that is left, as a share of full speed.
    pub speed: f64,
}

/// What is asked of the fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Over the day, as a share of what the cool fleet can do at its highest clock.
    pub share: Curve,
}

/// How long requests are, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// What is sent.
    pub prompt: Lengths,
    /// What is generated.
    pub answer: Lengths,
}

/// A log-normal distribution of lengths, cut off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lengths {
    /// The median, tokens.
    pub median: f64,
    /// The standard deviation of the logarithm.
    pub sigma: f64,
    /// The longest, tokens; the shortest is 1.
    pub most: u32,
}

/// When it is worst.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peak {
    /// From and to, for fleets too large for a day.
    pub hours: (f64, f64),
    /// From and to, for fleets too large for these.
    pub hour: (f64, f64),
}

/// What is wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scenario {name}: {what}")]
pub struct Unsound {
    name: String,
    what: &'static str,
}

impl Scenario {
    /// Refuses what cannot be simulated.
    pub fn check(&self) -> Result<(), Unsound> {
        let curves = [&self.inlet.celsius, &self.load.share];
        let sound =
            curves.into_iter().chain(self.warmer.iter().map(|rows| &rows.celsius)).all(Curve::is_sound);
        let rows =
            self.warmer.iter().map(|warmer| &warmer.rows).chain(self.fans.iter().map(|fans| &fans.rows));
        let fans = |fans: &FanFailure| fans.from < fans.to && fans.speed > 0.0 && fans.speed <= 1.0;
        let lengths =
            |one: &Lengths| one.median >= 1.0 && one.sigma >= 0.0 && f64::from(one.most) >= one.median;
        let spans = [self.peak.hours, self.peak.hour];
        let checks = [
            (sound, "a curve needs points whose hours rise: put them in order"),
            (self.rows > 0, "it needs at least one row"),
            (
                rows.flatten().all(|row| *row < self.rows),
                "a place names a row that is not there: count from 0",
            ),
            (
                self.fans.iter().all(fans),
                "fans fail from an earlier to a later hour, to a speed of above 0 and up to 1",
            ),
            (
                self.load.share.0.iter().all(|(_, share)| (0.0..=1.5).contains(share)),
                "load is a share from 0 to 1.5",
            ),
            (
                lengths(&self.requests.prompt) && lengths(&self.requests.answer),
                "lengths need 1 <= median <= most",
            ),
            (self.inlet.spread >= 0.0 && self.inlet.behind >= 0.0, "spread and behind are at least 0"),
            (
                spans.iter().all(|(from, to)| 0.0 <= *from && from < to && *to <= 24.0),
                "peaks lie within one day",
            ),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, what)) => Err(Unsound { name: self.name.clone(), what }),
            None => Ok(()),
        }
    }
}
