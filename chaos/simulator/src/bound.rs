//! How low the rise of a fleet's dies can be while it still does what is asked of it, whatever its clocks.

use helixflow_physics::{Board, Parameters};

use crate::fleet::varied;
use crate::room::Room;
use crate::steady::Steady;
use crate::{FleetError, Scenario, Serving};

/// Halvings of the degrees between nothing and the highest rise looked for: to a hundredth of a degree.
const HALVINGS: u32 = 14;
/// No die works so far above its inlet, K.
const HIGHEST: f64 = 120.0;

/// The lowest rise of a die over its own inlet, in K, within which the boards of a fleet can together do as much as is asked
/// of them on average in the hour of the peak, where each works without a pause on full batches at the highest clock that
/// keeps to it; none where they cannot at all.
///
/// It is about the least that a policy which serves the load for long can keep to, however clocks differ from board to
/// board: who runs a board by turns faster and slower draws more for the same work. It is no proof: it takes the air behind
/// boards that draw all they may, which has the fans turn faster, and clocks that do not follow the kind of work of each
/// moment.
pub fn lowest_serving_rise(scenario: &Scenario, boards: usize, seed: u64) -> Result<Option<f64>, FleetError> {
    let parameters =
        Parameters::by_name(scenario.product.key()).ok_or(FleetError::UnknownProduct(scenario.product))?;
    let serving = Serving::of(scenario.product, &scenario.requests);
    let (hour, until) = scenario.peak.hour;
    let mut room = Room::new(scenario, boards, seed);
    room.pass(hour);
    let steady = |board: usize| {
        let (own, parameters) = varied(parameters, board, seed);
        Steady::of(&Board::new(parameters, room.at_work(board), own), serving.memory_bound)
    };
    let fleet: Vec<Steady> = (0..boards).map(steady).collect();
    let asked = scenario.load.share.at(f64::midpoint(hour, until)) * boards as f64;
    let serves = |rise: f64| fleet.iter().map(|board| board.speed_within(rise)).sum::<f64>() >= asked;
    if !serves(HIGHEST) {
        return Ok(None);
    }
    let (mut low, mut high) = (0.0, HIGHEST);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if serves(middle) { high = middle } else { low = middle }
    }
    Ok(Some(high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Curve, Inlet, Lengths, Load, Peak, ProductName, Requests};

    fn scenario(load: f64) -> Scenario {
        Scenario {
            name: "test".to_owned(),
            product: ProductName::H100,
            rows: 1,
            inlet: Inlet { celsius: Curve(vec![(0.0, 25.0)]), spread: 1.0, behind: 6.0 },
            warmer: Vec::new(),
            fans: Vec::new(),
            load: Load { share: Curve(vec![(0.0, load)]) },
            requests: Requests {
                prompt: Lengths { median: 600.0, sigma: 0.5, most: 4000 },
                answer: Lengths { median: 400.0, sigma: 0.5, most: 2000 },
            },
            peak: Peak { hours: (13.0, 16.0), hour: (14.0, 15.0) },
        }
    }

    #[test]
    fn more_work_needs_more_heat_until_no_heat_is_enough() {
        let rise = |load| lowest_serving_rise(&scenario(load), 8, 1).unwrap();
        let rises = [0.7, 0.8, 0.9, 0.97].map(|load| rise(load).unwrap());
        assert!(rises.is_sorted() && rises[0] + 4.0 < rises[3] && rises[3] < 60.0, "{rises:?}");
        assert_eq!(rise(1.05), None);
    }
}
