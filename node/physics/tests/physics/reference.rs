//! The integration beside a plain one in steps of a millisecond, written down from the equations.

use helixflow_physics::{PRODUCTS, Parameters, Work};

use crate::world::board;

/// Explicit Euler over die, memory and sink, with the exponential that leakage's quadratic stands for left out: the
/// power of each body is taken from the board at the same second, so that the heat path alone is compared.
fn reference(
    product: &Parameters,
    start: [f64; 3],
    watts: [f64; 3],
    air: f64,
    inlet: f64,
    seconds: f64,
) -> [f64; 3] {
    let path = &product.thermal;
    let [mut die, mut memory, mut sink] = start;
    let step = 0.001;
    for _ in 0..(seconds / step) as u64 {
        let from_die = (die - sink) / path.die.resistance;
        let from_memory = (memory - sink) / path.memory.resistance;
        die += step * (watts[0] - from_die) / path.die.capacity;
        memory += step * (watts[1] - from_memory) / path.memory.capacity;
        sink += step * (watts[2] + from_die + from_memory - air * (sink - inlet)) / path.sink.capacity;
    }
    [die, memory, sink]
}

/// A product whose power does not depend on temperature, and whose fans stand at full speed.
fn without_feedback(mut product: Parameters) -> Parameters {
    product.power.leakage = 0.0;
    product.cooling.least = 1.0;
    product.limits.operating = 1000.0;
    product.limits.slowdown = 1000.0;
    product.limits.shutdown = 1000.0;
    product.limits.memory = 1000.0;
    product.limits.memory_shutdown = 1000.0;
    product.power.most = 10_000.0;
    product
}

#[test]
fn temperatures_follow_the_equations_whatever_the_step() {
    for product in PRODUCTS.map(without_feedback) {
        for step in [0.05, 0.1, 0.25, 1.0] {
            let inlet = 25.0;
            let mut board = board(product, inlet);
            let air = 1.0 / product.thermal.sink.resistance;
            let mut expected = [board.truth().die, board.truth().memory, board.truth().sink];
            for busy in [1.0, 0.2, 0.8, 0.0, 1.0] {
                let seconds = 8.0;
                for _ in 0..(seconds / step + 0.5) as u32 {
                    board.step(step, Work { busy, memory_bound: 0.0 });
                }
                let power = &product.power;
                let memory = power.memory_idle + busy * 0.3 * power.memory_busy;
                let die = board.power() - power.other - memory;
                expected = reference(&product, expected, [die, memory, power.other], air, inlet, seconds);
                let truth = board.truth();
                for (found, wanted) in [truth.die, truth.memory, truth.sink].into_iter().zip(expected) {
                    assert!(
                        (found - wanted).abs() < 0.15,
                        "{} by {step} s: {truth:?}, {expected:?}",
                        product.key
                    );
                }
            }
        }
    }
}
