//! The firmware's loops: what they hold, where they begin and end, and what they say of it.

use helixflow_model::{ClockReasons, MegaHertz, MilliWatts};
use helixflow_physics::{Board, Fault, H100_SXM, PRODUCTS, Surroundings, Work};
use proptest::prelude::*;

use crate::world::{SETTLED, board, peak, product, run, with_hardy_memory, work};

const FULL: Work = Work { busy: 1.0, memory_bound: 0.2 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_firmware_keeps_any_board_on_with_working_fans_and_allowed_air(
        product in product(), works in prop::collection::vec(work(), 1..8), inlet in 5.0..35.0f64, seed: u64,
    ) {
        let mut board = board(product.varied(seed), inlet);
        for work in works {
            let peak = peak(&mut board, 300, work);
            prop_assert!(peak < product.limits.slowdown, "{peak}");
        }
        prop_assert!(!board.truth().turned_off);
    }

    #[test]
    fn in_hot_air_the_gentle_slowdown_is_enough(product in product(), memory_bound in 0.0..=1.0f64, inlet in 45.0..60.0f64) {
        let mut board = board(product, inlet);
        let peak = peak(&mut board, SETTLED, Work { busy: 1.0, memory_bound });
        prop_assert!(peak < product.limits.slowdown, "{peak}");
    }

    #[test]
    fn a_fan_that_fails_in_full_work_is_survived_by_slowing_down(product in product(), inlet in 5.0..35.0f64, work in work()) {
        let mut board = board(product, inlet);
        run(&mut board, 600, work);
        board.put_on(Fault::FailedFan);
        let peak = peak(&mut board, SETTLED, work);
        prop_assert!(peak < product.limits.shutdown, "{peak}");
    }

    #[test]
    fn power_stays_at_or_below_its_limit(product in product(), work in work(), share in 0.0..=1.0f64, inlet in 10.0..45.0f64) {
        let mut board = board(product, inlet);
        let limit = product.power.least + share * (product.power.most - product.power.least);
        board.limit_power(Some(MilliWatts((limit * 1000.0) as u32)));
        for _ in 0..60 {
            board.step(1.0, work);
            let lowest = board.clock() == MegaHertz(product.clocks.least as u32);
            prop_assert!(board.power() <= limit + 0.5 || lowest, "{} of {limit} W at {}", board.power(), board.clock());
        }
    }

    #[test]
    fn a_lower_clock_is_kept_and_is_never_faster_nor_hotter(product in product(), work in work(), share in 0.0..=1.0f64) {
        let (mut slow, mut free) = (board(product, 25.0), board(product, 25.0));
        let asked = product.clocks.least + share * (product.clocks.most - product.clocks.least);
        slow.limit_clock(Some(MegaHertz(asked as u32)));
        run(&mut slow, 300, work);
        run(&mut free, 300, work);
        prop_assert!(f64::from(slow.clock().0) <= asked.max(product.clocks.least));
        prop_assert!(slow.speed() <= free.speed() + 1e-9 && slow.power() <= free.power() + 0.5 && slow.die() <= free.die() + 0.1);
    }

    #[test]
    fn speed_grows_with_the_clock_and_falls_less_than_it(product in product(), memory_bound in 0.0..=1.0f64) {
        let clocks = (product.clocks.least as u32)..=(product.clocks.most as u32);
        let mut before = 0.0;
        for clock in clocks.step_by(30) {
            let speed = product.speed(MegaHertz(clock), memory_bound);
            let share = f64::from(clock) / product.clocks.most;
            prop_assert!(speed >= before && speed >= share - 1e-9 && speed <= 1.0 + 1e-9, "{speed} at {clock}");
            before = speed;
        }
    }
}

#[test]
fn at_the_top_clock_the_speed_is_exactly_one() {
    for product in PRODUCTS {
        let mut board = board(product, 20.0);
        assert_eq!(board.speed(), 1.0);
        run(&mut board, 60, Work { busy: 0.3, memory_bound: 0.6 });
        assert_eq!(board.clock(), MegaHertz(product.clocks.most as u32));
        assert_eq!((board.speed(), board.speed_of(0.3)), (1.0, 1.0));
        assert_eq!(board.reasons(), ClockReasons(0));
    }
}

#[test]
fn the_gentle_slowdown_is_as_fast_in_short_steps() {
    for product in PRODUCTS.map(with_hardy_memory) {
        let (mut short, mut long) = (board(product, 60.0), board(product, 60.0));
        let mut slowest = f64::MAX;
        for _ in 0..300 {
            (0..20).for_each(|_| _ = short.step(0.05, FULL));
            long.step(1.0, FULL);
            let apart = f64::from(short.clock().0.abs_diff(long.clock().0));
            assert!(
                apart < 0.05 * product.clocks.most,
                "{}: {} {}",
                product.key,
                short.clock(),
                long.clock()
            );
            slowest = slowest.min(long.speed());
        }
        assert!(slowest < 0.97, "{}: nothing slowed it down", product.key);
    }
}

/// Heats the air by a tenth of a degree at a time until `found`, and gives the die just before and after.
fn die_around(board: &mut Board, work: Work, found: impl Fn(&Board) -> bool) -> (f64, f64) {
    for tenth in 0..20_000 {
        let before = board.die();
        board.set_surroundings(Surroundings { inlet: 20.0 + 0.1 * f64::from(tenth), fans: 1.0 });
        board.step(0.25, work);
        if found(board) {
            return (before, board.die());
        }
    }
    panic!("never: {:?}", board.truth());
}

#[test]
fn the_gentle_slowdown_begins_above_the_operating_limit_and_ends_below_it() {
    for product in PRODUCTS.map(with_hardy_memory) {
        let mut board = board(product, 20.0);
        let work = Work { busy: 1.0, memory_bound: 0.0 };
        let soft = |board: &Board| board.reasons().has(ClockReasons::SOFTWARE_THERMAL);
        let (before, after) = die_around(&mut board, work, soft);
        let limit = product.limits.operating;
        assert!(before > limit && before < limit + 1.0, "{}: {before} {after}", product.key);
        board.set_surroundings(Surroundings::default());
        let seconds = (0..600).find(|_| {
            board.step(1.0, work);
            !soft(&board)
        });
        assert!(seconds.is_some_and(|seconds| seconds > 2), "it gives back slowly: {seconds:?}");
        assert!(board.die() < limit - 2.0);
    }
}

#[test]
fn the_hard_halving_begins_exactly_at_its_limit_and_ends_five_degrees_below() {
    for product in PRODUCTS.map(with_hardy_memory) {
        let mut board = board(product, 20.0);
        let hard = |board: &Board| board.reasons().has(ClockReasons::HARDWARE_THERMAL);
        let (before, _) = die_around(&mut board, FULL, hard);
        assert!(before >= product.limits.slowdown, "{}: {before}", product.key);
        assert!(board.reasons().has(ClockReasons::HARDWARE_SLOWDOWN));
        assert!(f64::from(board.clock().0) <= product.clocks.most / 2.0, "{}", board.clock());
        board.set_surroundings(Surroundings::default());
        let mut at_release = 0.0;
        while hard(&board) {
            at_release = board.die();
            board.step(0.25, FULL);
        }
        assert!(at_release < product.limits.slowdown - 5.0, "{}: {at_release}", product.key);
    }
}

#[test]
fn below_every_limit_nothing_is_halved() {
    for product in PRODUCTS.map(with_hardy_memory) {
        let mut board = board(product, 20.0);
        for tenth in 0..20_000 {
            board.set_surroundings(Surroundings { inlet: 20.0 + 0.1 * f64::from(tenth), fans: 1.0 });
            let before = board.die();
            board.step(0.25, FULL);
            let halved = board.reasons().has(ClockReasons::HARDWARE_THERMAL);
            assert_eq!(halved, before >= product.limits.slowdown, "{}: {before}", product.key);
            if halved {
                break;
            }
        }
    }
}

#[test]
fn reasons_are_told_apart() {
    let tell = |change: &dyn Fn(&mut Board), work| {
        let mut board = board(H100_SXM, 20.0);
        change(&mut board);
        run(&mut board, 30, work);
        board.reasons()
    };
    let half = Work { busy: 0.5, memory_bound: 0.5 };
    let brake = ClockReasons::POWER_BRAKE.with(ClockReasons::HARDWARE_SLOWDOWN);
    assert_eq!(tell(&|_| (), half), ClockReasons(0));
    assert_eq!(tell(&|_| (), Work::IDLE), ClockReasons::IDLE);
    assert_eq!(tell(&|_| (), Work { busy: 1.0, memory_bound: 0.0 }), ClockReasons::POWER_CAP);
    assert_eq!(tell(&|board| board.limit_clock(Some(MegaHertz(1200))), half), ClockReasons::REQUESTED);
    assert_eq!(tell(&|board| board.put_on(Fault::PowerBrake), half), brake);
}

#[test]
fn a_clock_that_was_asked_for_is_let_go_again() {
    let mut board = board(H100_SXM, 20.0);
    board.limit_clock(Some(MegaHertz(900)));
    run(&mut board, 5, FULL);
    assert_eq!((board.clock(), board.clock_limit()), (MegaHertz(900), Some(MegaHertz(900))));
    board.limit_clock(None);
    board.step(1.0, Work { busy: 0.5, ..FULL });
    assert_eq!((board.clock(), board.clock_limit()), (MegaHertz(1980), None));
}

#[test]
fn a_board_that_cannot_be_held_turns_itself_off_until_it_is_turned_on_again() {
    let mut board = board(H100_SXM, 25.0);
    board.put_on(Fault::FailedFan);
    board.set_surroundings(Surroundings { inlet: 90.0, fans: 1.0 });
    run(&mut board, SETTLED, FULL);
    assert!(board.truth().turned_off && board.speed() == 0.0 && board.power() == 0.0);
    board.take_off(Fault::FailedFan);
    board.set_surroundings(Surroundings::default());
    run(&mut board, SETTLED, FULL);
    assert!(board.truth().turned_off && board.die() < 26.0, "{:?}", board.truth());
    board.power_cycle();
    run(&mut board, 5, FULL);
    assert!(!board.truth().turned_off && board.speed() > 0.5);
}
