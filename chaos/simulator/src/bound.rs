//! What physics forbids: the lowest clock at which a scenario's load can be served at all.

use helixflow_model::MegaHertz;
use helixflow_physics::Parameters;

use crate::{FleetError, Scenario, Serving};

/// The lowest clock, as a share of the highest, at which a fleet whose boards all run at it can do as much as is asked at
/// the highest load of the day.
pub fn lowest_serving_clock(scenario: &Scenario) -> Result<f64, FleetError> {
    let parameters =
        Parameters::by_name(scenario.product.key()).ok_or(FleetError::UnknownProduct(scenario.product))?;
    let serving = Serving::of(scenario.product, &scenario.requests);
    let asked = scenario.load.share.highest();
    let (least, most) = (parameters.clocks.least as u32, parameters.clocks.most as u32);
    let serves = |clock: &u32| parameters.speed(MegaHertz(*clock), serving.memory_bound) >= asked;
    let clock = (least..=most).find(serves).unwrap_or(most);
    Ok(f64::from(clock) / parameters.clocks.most)
}
