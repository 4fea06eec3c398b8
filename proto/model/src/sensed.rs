//! A sensor's value, with how far it can be trusted: what a board never had is no fault, what it lost is one.

use serde::{Deserialize, Serialize};

/// What is known of one quantity.
///
/// A device says `Unsupported`, `Missing` or `Live` of each single reading; `helixflow_control::BoardControl`, which knows
/// the readings before, turns an error of a sensor that never worked into `Unsupported`, the silence of one that did into
/// `Missing`, and a value that no longer follows its board into `Frozen`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensed<T> {
    /// This board has no such sensor.
    #[default]
    Unsupported,
    /// It has one, which gives an error now.
    Missing,
    /// It gives a value that has stood still while the board has not.
    Frozen(T),
    /// It gives a value.
    Live(T),
}

impl<T> Sensed<T> {
    /// The value, where it can be trusted.
    pub fn live(self) -> Option<T> {
        match self {
            Self::Live(value) => Some(value),
            Self::Unsupported | Self::Missing | Self::Frozen(_) => None,
        }
    }

    /// The value that was read, whether or not it can be trusted.
    pub fn read(self) -> Option<T> {
        match self {
            Self::Live(value) | Self::Frozen(value) => Some(value),
            Self::Unsupported | Self::Missing => None,
        }
    }

    /// Whether it worked before and does not now.
    pub const fn is_faulty(&self) -> bool {
        matches!(self, Self::Missing | Self::Frozen(_))
    }

    /// The same with the value changed.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Sensed<U> {
        match self {
            Self::Unsupported => Sensed::Unsupported,
            Self::Missing => Sensed::Missing,
            Self::Frozen(value) => Sensed::Frozen(change(value)),
            Self::Live(value) => Sensed::Live(change(value)),
        }
    }
}
