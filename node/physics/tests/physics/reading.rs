//! Readings: as a driver gives them.

use helixflow_model::{MilliCelsius, Sensed};
use helixflow_physics::{H100_SXM, L4, PRODUCTS, Parameters, Work};
use proptest::prelude::*;

use crate::world::{board, product, run, work};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_reading_is_whole_degrees_close_to_the_truth(product in product(), work in work(), inlet in 10.0..45.0f64) {
        let mut board = board(product, inlet);
        for _ in 0..60 {
            board.step(1.0, work);
            let reading = board.reading().unwrap();
            let core = reading.core.live().unwrap();
            prop_assert_eq!(core.0 % 1000, 0);
            prop_assert!((f64::from(core.0) / 1000.0 - board.die()).abs() < 1.0, "{} {}", core, board.die());
            let power = f64::from(reading.power.live().unwrap().0) / 1000.0;
            prop_assert!((power - board.power()).abs() <= 0.02 * board.power() + 0.1, "{} {}", power, board.power());
            prop_assert_eq!(reading.core_clock.live(), Some(board.clock()));
            prop_assert_eq!(reading.reasons.live(), Some(board.reasons()));
        }
    }
}

#[test]
fn boards_tell_what_their_product_tells() {
    let [h100, _, l4, mi300x] = PRODUCTS.map(|product| board(product, 25.0).reading().unwrap());
    assert!(h100.memory.live().is_some() && h100.margin.live().is_some());
    assert_eq!((l4.memory, L4.limits().memory), (Sensed::Unsupported, None));
    assert_eq!((mi300x.margin, mi300x.remapping), (Sensed::Unsupported, Sensed::Unsupported));
    assert_eq!(h100.fan, Sensed::Unsupported, "the fans are the machine's");
    let limit = H100_SXM.limits().operating.unwrap();
    assert_eq!(h100.margin.live().unwrap().0 + h100.core.live().unwrap().0, limit.0);
    assert_eq!(limit, MilliCelsius(87_000));
}

#[test]
fn noise_flickers_over_time_and_stands_still_within_a_moment() {
    let mut board = board(H100_SXM, 25.0);
    run(&mut board, 1_800, Work { busy: 0.5, memory_bound: 0.5 });
    assert_eq!(board.reading(), board.reading());
    let powers: Vec<_> = (0..20)
        .map(|_| {
            board.step(1.0, Work { busy: 0.5, memory_bound: 0.5 });
            board.reading().unwrap().power
        })
        .collect();
    assert!(powers.windows(2).any(|pair| pair[0] != pair[1]), "{powers:?}");
}

#[test]
fn products_are_found_by_name() {
    for product in PRODUCTS {
        assert_eq!(Parameters::by_name(&product.key.to_uppercase()), Some(product));
        let rungs = (product.clocks.most - product.clocks.least) / product.clocks.step;
        assert_eq!(rungs.fract(), 0.0, "{}: the highest clock is no rung", product.key);
        let limits = &product.limits;
        assert!(limits.operating < limits.slowdown && limits.slowdown < limits.shutdown, "{}", product.key);
    }
    assert_eq!(Parameters::by_name("h200"), None);
}
