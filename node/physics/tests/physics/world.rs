//! Boards under loads that proptest draws.

use helixflow_physics::{Board, PRODUCTS, Parameters, Passed, Surroundings, Work};
use proptest::prelude::{Just, Strategy, prop_oneof};

/// Long enough for the slowest sink without fans to settle.
pub(crate) const SETTLED: u32 = 1_800;

pub(crate) fn product() -> impl Strategy<Value = Parameters> {
    PRODUCTS.map(Just).into_iter().fold(Just(PRODUCTS[0]).boxed(), |all, one| prop_oneof![all, one].boxed())
}

pub(crate) fn work() -> impl Strategy<Value = Work> {
    (0.0..=1.0, 0.0..=1.0).prop_map(|(busy, memory_bound)| Work { busy, memory_bound })
}

pub(crate) fn board(product: Parameters, inlet: f64) -> Board {
    Board::new(product, Surroundings { inlet, fans: 1.0 }, 7)
}

/// Steps of one second.
pub(crate) fn run(board: &mut Board, seconds: u32, work: Work) -> Passed {
    let mut last = Passed::default();
    (0..seconds).for_each(|_| last = board.step(1.0, work));
    last
}

/// The hottest that the die gets in so many seconds.
pub(crate) fn peak(board: &mut Board, seconds: u32, work: Work) -> f64 {
    (0..seconds).fold(board.die(), |peak, _| {
        board.step(1.0, work);
        peak.max(board.die())
    })
}

/// The same product with memory that bears any heat, where the die's limits are looked at alone.
pub(crate) fn with_hardy_memory(mut product: Parameters) -> Parameters {
    product.limits.memory = 1_000.0;
    product.limits.memory_shutdown = 1_000.0;
    product
}
