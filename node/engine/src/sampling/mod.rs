//! Chooses the next token from logits. Pure: the same logits, rules and place in the stream give the same token, on
//! every CPU.
//!
//! The order of the steps is that of vLLM's V1 sampler: end-of-sequence mask (`min_tokens`), repetition penalty,
//! temperature, min-p, top-k, top-p, draw. Temperature 0 takes the likeliest after the penalty. Reported
//! log-probabilities are those of the model, before any of these steps (vLLM's `raw_logprobs`).
//!
//! Exactness: the exponential is our own, the logarithm that of the pinned crate `libm` (plain Rust; the platform's
//! differ by CPU), sums run in one fixed order in f64, equal logits rank by lower token id, and each random number is a function of
//! (seed, choice, index of the token). Logits that are not finite are no candidates.
//!
//! Left out: stop strings, which only the text layer can see.

mod argmax;
mod candidates;
mod draw;
mod ending;
mod exp;
mod logprobs;
mod philox;
mod rank;
mod sampler;

pub use ending::Ending;
pub use logprobs::Logprobs;
pub use philox::Draw;
pub use sampler::{Chosen, NoCandidate, Rules, Sampler};
