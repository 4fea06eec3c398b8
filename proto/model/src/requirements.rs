//! What a model asks of the board that runs it, and what boards have to offer. Memory is told apart from it.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::{DeviceFeature, DeviceKind};

/// What a board can do that others cannot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BoardTraits {
    /// Who made it.
    pub kind: DeviceKind,
    /// What it computes in hardware.
    pub features: BTreeSet<DeviceFeature>,
}

/// What a model asks of a board; the default asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Requirements {
    /// Any one of these makers; none named leaves the choice.
    pub vendors: BTreeSet<DeviceKind>,
    /// All of these features.
    pub features: BTreeSet<DeviceFeature>,
}

impl Requirements {
    /// Whether any board will do.
    pub fn is_empty(&self) -> bool {
        self.vendors.is_empty() && self.features.is_empty()
    }

    /// Whether such a board will do.
    pub fn fit(&self, board: &BoardTraits) -> bool {
        (self.vendors.is_empty() || self.vendors.contains(&board.kind))
            && self.features.is_subset(&board.features)
    }

    /// Whether one of these boards will do. A node that told nothing of its boards fits what asks for nothing.
    pub fn fit_any(&self, boards: &BTreeSet<BoardTraits>) -> bool {
        self.is_empty() || boards.iter().any(|board| self.fit(board))
    }
}

impl fmt::Display for Requirements {
    /// As it follows `a board`: `of nvidia or amd with fp8 and bf16`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |names: Vec<String>, word: &str| names.join(word);
        let vendors = join(self.vendors.iter().map(ToString::to_string).collect(), " or ");
        let features = join(self.features.iter().map(ToString::to_string).collect(), " and ");
        match (vendors.is_empty(), features.is_empty()) {
            (true, true) => f.write_str("of any kind"),
            (false, true) => write!(f, "of {vendors}"),
            (true, false) => write!(f, "with {features}"),
            (false, false) => write!(f, "of {vendors} with {features}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(names: &[&str]) -> BTreeSet<DeviceFeature> {
        names.iter().map(|name| DeviceFeature::new(*name).expect("a valid name")).collect()
    }

    fn board(kind: DeviceKind, names: &[&str]) -> BoardTraits {
        BoardTraits { kind, features: features(names) }
    }

    #[test]
    fn a_board_fits_by_its_maker_and_by_every_feature() {
        let asks = Requirements { vendors: [DeviceKind::Nvidia].into(), features: features(&["fp8"]) };
        assert!(asks.fit(&board(DeviceKind::Nvidia, &["bf16", "fp8"])));
        assert!(!asks.fit(&board(DeviceKind::Nvidia, &["bf16"])));
        assert!(!asks.fit(&board(DeviceKind::Amd, &["bf16", "fp8"])));
        assert_eq!(asks.to_string(), "of nvidia with fp8");
    }

    #[test]
    fn one_board_has_to_offer_all_that_is_asked() {
        let asks = Requirements { features: features(&["bf16", "fp8"]), ..Requirements::default() };
        let halves = [board(DeviceKind::Nvidia, &["bf16"]), board(DeviceKind::Amd, &["fp8"])];
        assert!(!asks.fit_any(&halves.into()));
        assert!(!asks.fit_any(&BTreeSet::new()));
        assert!(Requirements::default().fit_any(&BTreeSet::new()));
    }
}
