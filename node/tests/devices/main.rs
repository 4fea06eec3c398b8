//! GPUs as a node has them: through a process of its own, which reads a library that plays NVML, or a made-up device tree.
//!
//! That process is this same test program, told to run one test (`child.rs`). Every wait is bounded, and the process ends
//! with the test that started it. `real.rs` reads the machine's own GPUs where there are any.

#![cfg(test)]

mod amd;
mod blocked;
mod child;
mod clocks;
mod faults;
mod instances;
mod node;
#[path = "../../../tests/src/nvml_stub.rs"]
#[expect(unreachable_pub, reason = "the file is a public module of another crate, and used here by its path")]
mod nvml_stub;
mod real;
mod sensors;
mod start;
mod stub;
mod world;
