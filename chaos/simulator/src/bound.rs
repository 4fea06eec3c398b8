//! What physics forbids: the lowest rise within which a fleet can do what is asked of it, whatever its clocks.

use helixflow_physics::{Board, Parameters};

use crate::fleet::varied;
use crate::room::Room;
use crate::steady::Steady;
use crate::{FleetError, Scenario, Serving};

/// Halvings of the degrees between nothing and the highest rise looked for: to a hundredth of a degree.
const HALVINGS: u32 = 14;
/// No die works so far above its inlet, K.
const HIGHEST: f64 = 120.0;

/// The lowest rise of a die over its own inlet, in K, within which the boards of a fleet can together do as much as is
/// asked of them in the hour of the peak, where each works without a pause at the highest clock that keeps to it. However
/// clocks differ from board to board, no policy that serves the load for long keeps to less: a board that runs by turns
/// faster and slower draws more for the same work.
pub fn lowest_serving_rise(scenario: &Scenario, boards: usize, seed: u64) -> Result<f64, FleetError> {
    let parameters =
        Parameters::by_name(scenario.product.key()).ok_or(FleetError::UnknownProduct(scenario.product))?;
    let serving = Serving::of(scenario.product, &scenario.requests);
    let hour = scenario.peak.hour.0;
    let mut room = Room::new(scenario, boards, seed);
    room.pass(hour);
    let steady = |board: usize| {
        let (own, parameters) = varied(parameters, board, seed);
        Steady::of(&Board::new(parameters, room.at_work(board), own), serving.memory_bound)
    };
    let fleet: Vec<Steady> = (0..boards).map(steady).collect();
    let asked = scenario.load.share.at(hour) * boards as f64;
    let serves = |rise: f64| fleet.iter().map(|board| board.speed_within(rise)).sum::<f64>() >= asked;
    let (mut low, mut high) = (0.0, HIGHEST);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if serves(middle) { high = middle } else { low = middle }
    }
    Ok(high)
}
