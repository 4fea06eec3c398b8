//! Heat: monotone, bounded, balanced, and independent of how time is cut.

use helixflow_physics::{Board, H100_SXM, PRODUCTS, Surroundings, Work};
use proptest::prelude::*;

use crate::world::{SETTLED, board, product, run, work};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn more_work_never_leaves_a_board_cooler(product in product(), work in work(), less in 0.0..=1.0f64, inlet in 10.0..35.0f64) {
        let (mut hot, mut cool) = (board(product, inlet), board(product, inlet));
        run(&mut hot, SETTLED, work);
        run(&mut cool, SETTLED, Work { busy: work.busy * less, ..work });
        // Half a degree: both may be held at the same limit, each at its own step of the clock.
        prop_assert!(hot.die() >= cool.die() - 0.5, "{} {}", hot.die(), cool.die());
    }

    #[test]
    fn warmer_air_never_leaves_a_board_cooler(product in product(), work in work(), inlet in 10.0..35.0f64, more in 0.0..15.0f64) {
        let (mut warm, mut cool) = (board(product, inlet + more), board(product, inlet));
        run(&mut warm, SETTLED, work);
        run(&mut cool, SETTLED, work);
        prop_assert!(warm.die() >= cool.die() - 0.5, "{} {}", warm.die(), cool.die());
    }

    #[test]
    fn no_body_is_colder_than_the_air_nor_hotter_than_its_power_allows(
        product in product(), works in prop::collection::vec(work(), 1..40), inlet in 10.0..45.0f64, seconds in 0.01..5.0f64,
    ) {
        let mut board = board(product, inlet);
        let power = &product.power;
        // Full work at the highest clock, with leakage at the shutdown temperature, through the whole path.
        let most = power.other + power.core + power.memory_idle + power.memory_busy + 3.0 * power.leakage;
        let path = product.thermal.die.resistance + product.thermal.sink.resistance / product.cooling.draught;
        for work in works {
            board.step(seconds, work);
            let truth = board.truth();
            prop_assert!(truth.sink >= inlet - 1e-9 && truth.die >= truth.sink - 1e-9 && truth.memory >= truth.sink - 1e-9, "{truth:?}");
            prop_assert!(truth.die <= inlet + most * path, "{truth:?}");
        }
    }

    #[test]
    fn at_rest_in_its_balance_a_board_gives_off_what_it_draws(product in product(), work in work(), inlet in 10.0..30.0f64) {
        let mut board = board(product, inlet);
        run(&mut board, SETTLED, work);
        let (truth, cooling) = (board.truth(), product.cooling);
        let air = (cooling.draught + (1.0 - cooling.draught) * truth.fan) / product.thermal.sink.resistance;
        let given_off = air * (truth.sink - inlet);
        prop_assert!((given_off - truth.power).abs() < 0.01 * truth.power, "{given_off} W leave, {truth:?}");
    }

    #[test]
    fn steps_of_a_tenth_and_of_a_second_come_to_the_same(product in product(), works in prop::collection::vec(work(), 1..60), inlet in 15.0..45.0f64) {
        let (mut fine, mut coarse) = (board(product, inlet), board(product, inlet));
        let (mut fine_work, mut coarse_work) = (0.0, 0.0);
        for work in works {
            (0..10).for_each(|_| fine_work += fine.step(0.1, work).work);
            coarse_work += coarse.step(1.0, work).work;
            prop_assert!((fine.die() - coarse.die()).abs() < 0.25, "{} {}", fine.die(), coarse.die());
            prop_assert!((fine.memory() - coarse.memory()).abs() < 0.25, "{} {}", fine.memory(), coarse.memory());
        }
        prop_assert!((fine_work - coarse_work).abs() <= 0.01 * coarse_work.max(1.0), "{fine_work} {coarse_work}");
    }

    #[test]
    fn the_same_seed_gives_the_same_run(product in product(), seed: u64, works in prop::collection::vec(work(), 1..40)) {
        let surroundings = Surroundings::default();
        let (mut one, mut other) = (Board::new(product, surroundings, seed), Board::new(product, surroundings, seed));
        for work in works {
            prop_assert_eq!(one.step(0.7, work), other.step(0.7, work));
            prop_assert_eq!(one.reading(), other.reading());
        }
    }
}

#[test]
fn a_long_step_counts_as_many_short_ones() {
    for product in PRODUCTS {
        let (mut one, mut many) = (board(product, 25.0), board(product, 25.0));
        let work = Work { busy: 0.9, memory_bound: 0.5 };
        let whole = one.step(600.0, work);
        let parts: f64 = (0..600).map(|_| many.step(1.0, work).joules).sum();
        assert!((whole.joules - parts).abs() < 1e-6 * parts, "{} {parts}", whole.joules);
        assert!((whole.seconds - 600.0).abs() < 1e-6);
    }
}

#[test]
fn a_new_board_is_at_rest() {
    for product in PRODUCTS {
        let mut board = board(product, 25.0);
        let before = board.truth();
        run(&mut board, SETTLED, Work::IDLE);
        assert!(
            (board.die() - before.die).abs() < 0.1,
            "{}: {before:?}, then {:?}",
            product.key,
            board.truth()
        );
    }
}

#[test]
fn at_the_power_limit_in_cool_air_every_product_is_as_warm_as_it_is_known_to_be() {
    for product in PRODUCTS {
        let mut board = board(product, 25.0);
        let passed = run(&mut board, SETTLED, Work { busy: 1.0, memory_bound: 0.0 });
        assert!(passed.power_cap > 0.0, "{}: {:?}", product.key, board.truth());
        assert!((58.0..82.0).contains(&board.die()), "{}: {:?}", product.key, board.truth());
        println!("{:8} {:?} {}", product.key, board.truth(), board.clock());
    }
}

#[test]
fn rest_draws_what_the_product_is_known_to_draw() {
    for (product, watts) in PRODUCTS.into_iter().zip([70.0, 55.0, 13.0, 140.0]) {
        let board = board(product, 25.0);
        assert!((board.power() / watts - 1.0).abs() < 0.15, "{}: {} W", product.key, board.power());
    }
}

#[test]
fn boards_of_one_product_differ_a_little_by_their_seed() {
    let work = Work { busy: 1.0, memory_bound: 0.5 };
    let hottest: Vec<f64> = (0..64)
        .map(|seed| {
            let mut board = board(H100_SXM.varied(seed), 25.0);
            run(&mut board, 600, work);
            board.die()
        })
        .collect();
    let spread =
        hottest.iter().copied().fold(f64::MIN, f64::max) - hottest.iter().copied().fold(f64::MAX, f64::min);
    assert!((0.5..8.0).contains(&spread), "{spread} degrees");
}

#[test]
fn what_is_no_number_does_no_harm() {
    let mut board = board(H100_SXM, 25.0);
    board.step(f64::NAN, Work { busy: f64::NAN, memory_bound: f64::INFINITY });
    board.step(-1.0, Work { busy: 7.0, memory_bound: -3.0 });
    board.set_surroundings(Surroundings { inlet: f64::NAN, fans: 1.0 });
    board.step(10.0, Work { busy: f64::INFINITY, memory_bound: f64::NAN });
    assert!(board.die().is_finite() && board.die() < 87.0, "{:?}", board.truth());
}
