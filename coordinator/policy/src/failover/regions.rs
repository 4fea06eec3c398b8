//! Which single region's loss would end the quorum.
//!
//! A region that holds half of the voters or more cannot be lost. In two regions one of them always holds as many: only a
//! voter in a third region, a witness, helps. In one region there is nothing to choose, so nothing is said.

use std::{collections::BTreeMap, fmt};

use helixflow_model::Region;

/// A group that does not survive the loss of one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragility {
    /// The regions whose loss, each alone, ends the quorum.
    pub regions: Vec<Region>,
    /// The voters that the largest of them holds.
    pub held: usize,
    /// All voters.
    pub voters: usize,
    /// Voters to add elsewhere so that every region can be lost.
    pub missing: usize,
    /// Whether one of those has to stand in a third region.
    pub needs_third: bool,
}

/// Judges where the voters stand; `None` when any one region may be lost, or when there is only one.
pub fn fragility(regions_of_voters: impl IntoIterator<Item = Region>) -> Option<Fragility> {
    let mut held: BTreeMap<Region, usize> = BTreeMap::new();
    for region in regions_of_voters {
        *held.entry(region).or_default() += 1;
    }
    let voters: usize = held.values().sum();
    let largest = held.values().max().copied().unwrap_or(0);
    let survives_all = 2 * largest < voters;
    if held.len() < 2 || survives_all {
        return None;
    }
    Some(Fragility {
        needs_third: held.len() == 2,
        regions: held.into_iter().filter(|(_, held)| 2 * held >= voters).map(|(region, _)| region).collect(),
        held: largest,
        voters,
        missing: 2 * largest + 1 - voters,
    })
}

impl fmt::Display for Fragility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.regions.iter().map(Region::as_str).collect();
        let more = if self.missing == 1 { "a voter".to_owned() } else { format!("{} voters", self.missing) };
        write!(
            f,
            "the loss of region {} alone would end the quorum: it holds {} of the {} voters; add {more} elsewhere",
            names.join(", or of "),
            self.held,
            self.voters,
        )?;
        if self.needs_third {
            write!(f, ", a witness in a third region among them")?;
        }
        write!(f, ": helixflow coordinator add")
    }
}
