//! What a board of each product serves, and how fast: a language model of a size that fits it, whole, with continuous
//! batching.
//!
//! Step times come from the roofline (Williams, Waterman, Patterson, 2009): weights and keys are read at 80 % of the data
//! sheet's bandwidth, arithmetic runs at about half of the data sheet's rate for dense products. They are estimates of a
//! good engine, not measurements of ours; that the *rules* of the batch are those of our engine is what the simulator's
//! own error is measured for.

use crate::arrivals::moments;
use crate::{EngineSpec, ProductName, Requests, StepTime};

/// Positions of a KV page, as in our engine.
const PAGE_POSITIONS: u32 = 64;
/// Requests that may wait at a board, as in our engine.
const QUEUE: usize = 64;
/// Most rows of a step, and most prompt rows beside others that generate: a prompt of usual length takes three steps.
const ROWS: usize = 2048;
const PREFILL_ROWS: usize = 512;
/// Launching kernels, sampling, and what else a step costs whatever is in it, in seconds.
const OVERHEAD: f64 = 0.003;
/// A request is good when its tokens come no slower than this many times the step of a full batch at the highest clock:
/// a full batch with prompts beside it now and then is good, one at four fifths of its speed is not.
const TOKEN_SLACK: f64 = 1.2;
/// And when its first token comes within the time of so many steps: about two seconds, some three times what the longest
/// prompts take unhindered.
const FIRST_SLACK: f64 = 80.0;

/// A model on a product, in seconds.
struct Sizes {
    sequences: usize,
    /// Positions that fit beside the weights.
    positions: u32,
    /// To read the weights once.
    weights: f64,
    /// The arithmetic of one sequence's token, in a batch.
    row: f64,
    /// The arithmetic of one row of a prompt.
    prompt_row: f64,
    /// To read one position's keys and values.
    position: f64,
}

/// 32 billion parameters of 8 bits (33 GB), 64 layers with 8 heads of keys and values of 128, in 8 bits: 131 kB a
/// position. 3.35 TB/s, about 1000 · 10¹² operations a second.
const H100: Sizes = Sizes {
    sequences: 32,
    positions: 305_000,
    weights: 0.0123,
    row: 0.000_12,
    prompt_row: 0.000_07,
    position: 0.000_000_049,
};
/// The same model. 2.04 TB/s, about 300 · 10¹² operations a second in 8 bits.
const A100: Sizes = Sizes {
    sequences: 32,
    positions: 305_000,
    weights: 0.0202,
    row: 0.000_25,
    prompt_row: 0.000_21,
    position: 0.000_000_080,
};
/// 70 billion parameters of 8 bits (71 GB), 80 layers, 164 kB a position. 5.3 TB/s, about 1000 · 10¹² operations a second.
const MI300X: Sizes = Sizes {
    sequences: 40,
    positions: 620_000,
    weights: 0.0168,
    row: 0.000_20,
    prompt_row: 0.000_14,
    position: 0.000_000_039,
};
/// 8 billion parameters of 8 bits (8.5 GB), 32 layers, 66 kB a position. 0.3 TB/s, about 120 · 10¹² operations a second.
const L4: Sizes = Sizes {
    sequences: 12,
    positions: 200_000,
    weights: 0.0355,
    row: 0.000_20,
    prompt_row: 0.000_14,
    position: 0.000_000_275,
};

/// What makes a request good, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// From arrival to the first token, at most.
    pub first: f64,
    /// From token to token on average, at most.
    pub token: f64,
}

/// An engine on a board.
#[derive(Clone, Debug, PartialEq)]
pub struct Serving {
    /// The engine.
    pub engine: EngineSpec,
    /// What its users expect.
    pub objective: Objective,
    /// Requests a second at full batch, the highest clock, and these lengths: a load of 1.
    pub capacity: f64,
    /// Share of the time, then, in which the compute units wait for memory.
    pub memory_bound: f64,
}

impl Serving {
    /// What a board of the product does with such requests.
    pub fn of(product: ProductName, requests: &Requests) -> Self {
        let sizes = match product {
            ProductName::H100 => H100,
            ProductName::A100 => A100,
            ProductName::L4 => L4,
            ProductName::Mi300x => MI300X,
        };
        let step = StepTime {
            generating: StepTime::linear(OVERHEAD + sizes.weights, sizes.row, sizes.sequences),
            weights: sizes.weights,
            prompt_row: sizes.prompt_row,
            prompt_position: 0.0,
            context_position: sizes.position,
        };
        let (prompt, answer) = (moments(&requests.prompt), moments(&requests.answer));
        // Long answers are there for longer: the mean over those that run weighs each by its length.
        let attended = prompt.mean + answer.mean_square / answer.mean / 2.0;
        let batch = sizes.sequences as f64;
        let full = OVERHEAD + sizes.weights + batch * (sizes.row + sizes.position * attended);
        let request = answer.mean * full / batch + prompt.mean * sizes.prompt_row;
        let engine = EngineSpec {
            sequences: sizes.sequences,
            rows: ROWS,
            prefill_rows: PREFILL_ROWS,
            queue: QUEUE,
            pages: sizes.positions / PAGE_POSITIONS,
            page_positions: PAGE_POSITIONS,
            step,
        };
        let objective = Objective { first: FIRST_SLACK * full, token: TOKEN_SLACK * full };
        let waits = (sizes.weights / batch + sizes.position * attended) * answer.mean;
        Self { engine, objective, capacity: 1.0 / request, memory_bound: waits / request }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Done, Engine, Lengths, Request};

    const REQUESTS: Requests = Requests {
        prompt: Lengths { median: 1200.0, sigma: 0.0, most: 8000 },
        answer: Lengths { median: 1000.0, sigma: 0.0, most: 8000 },
    };

    #[test]
    fn an_engine_that_is_never_idle_answers_at_its_capacity() {
        for product in [ProductName::H100, ProductName::A100, ProductName::L4, ProductName::Mi300x] {
            let Serving { engine: spec, capacity, .. } = Serving::of(product, &REQUESTS);
            let mut engine = Engine::new(&spec, 0.0);
            let (mut done, seconds) = (0, 2000);
            for second in 0..seconds {
                let now = f64::from(second);
                while engine.waiting() < 8
                    && engine.submit(&spec, Request { arrived: now, prompt: 1200, answer: 1000 })
                {
                }
                engine.advance(&spec, now + 1.0, 1.0, &mut |_: Done| done += 1);
            }
            let share = f64::from(done) / f64::from(seconds) / capacity;
            assert!((0.95..1.03).contains(&share), "{product:?} answers {share} of its capacity");
        }
    }
}
