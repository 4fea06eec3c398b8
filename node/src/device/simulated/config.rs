//! The section `[simulated]` of the node's configuration: what the boards are that stand in for GPUs.

use helixflow_physics::{H100_SXM, PRODUCTS, Parameters};
use serde::{Deserialize, Serialize};

/// Degrees of air that a machine room can have: below freezing to a fire.
pub(super) const AIR: std::ops::RangeInclusive<f64> = -20.0..=100.0;
/// Boards of one node, at most: as many as a machine has.
const MAX_BOARDS: u16 = 16;

/// What stands in for GPUs where there are none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Simulated {
    /// The product: `h100`, `a100`, `l4` or `mi300x`.
    pub product: String,
    /// Degrees Celsius of the air at the inlet.
    pub inlet: f64,
    /// Boards of one product differ a little, and so does the noise of their sensors: by this number.
    pub seed: u64,
    /// How many.
    pub boards: u16,
}

impl Default for Simulated {
    /// One H100 in air so cool that it never slows down.
    fn default() -> Self {
        Self { product: H100_SXM.key.to_owned(), inlet: 25.0, seed: 0, boards: 1 }
    }
}

impl Simulated {
    /// Says of the first value that cannot be: its key, and what is wrong.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if Parameters::by_name(&self.product).is_none() {
            let known = PRODUCTS.map(|product| product.key).join(", ");
            return Err((
                "simulated.product",
                format!("{:?} is not known: give one of {known}", self.product),
            ));
        }
        if !AIR.contains(&self.inlet) {
            let (least, most) = (AIR.start(), AIR.end());
            return Err(("simulated.inlet", format!("{} °C is not from {least} to {most}", self.inlet)));
        }
        if !(1..=MAX_BOARDS).contains(&self.boards) {
            return Err(("simulated.boards", format!("{} is not from 1 to {MAX_BOARDS}", self.boards)));
        }
        Ok(())
    }

    /// The product; a name that is not known was refused before.
    pub(super) fn product(&self) -> Parameters {
        Parameters::by_name(&self.product).unwrap_or(H100_SXM)
    }
}
