//! What a step costs: nanoseconds of a one-second step under loads that change, cool and at the limits.
//!
//! `cargo run --release -p helixflow-physics --example step_cost`
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a measurement, at a terminal")]

use std::time::Instant;

use helixflow_physics::{Board, PRODUCTS, Surroundings, Work};

const STEPS: u32 = 2_000_000;

fn main() {
    for product in PRODUCTS {
        for (name, inlet, fans) in [("cool", 22.0, 1.0), ("hot", 45.0, 0.5)] {
            let mut board = Board::new(product, Surroundings { inlet, fans }, 1);
            let mut work = 0.0;
            let mut hottest = f64::MIN;
            let (mut thermal, mut capped) = (0.0, 0.0);
            let began = Instant::now();
            for step in 0..STEPS {
                let busy = 0.7 + 0.3 * f64::from(step % 7) / 6.0;
                let passed = board.step(1.0, Work { busy, memory_bound: 0.5 });
                work += passed.work;
                thermal += passed.thermal;
                capped += passed.power_cap;
                hottest = hottest.max(board.die());
            }
            let each = began.elapsed().as_nanos() / u128::from(STEPS);
            let share = |seconds: f64| 100.0 * seconds / f64::from(STEPS);
            println!(
                "{:8} {name}: {each} ns a step; hottest {hottest:.1} °C, work {:.2}, thermal {:.0} %, power cap {:.0} %",
                product.key,
                work / f64::from(STEPS),
                share(thermal),
                share(capped),
            );
        }
    }
}
