//! What the scheduling half promises, shown through the public door on a toy model, and on real layers with small
//! synthetic weights.
//!
//! The toy's logits are a function of a sequence's own tokens, read back from the very pages that the batch names: a
//! page given to two, or a position written elsewhere, shows at once. The oracle computes the same streams without
//! scheduler, batch or pages.

#![cfg(test)]

mod bench;
mod endings;
mod exactness;
mod fairness;
mod memory;
mod oracle;
mod pacing;
mod real_layers;
mod storms;
mod synthetic;
mod thread;
mod toy;
