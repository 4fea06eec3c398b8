//! The arithmetic of the CPU engine: each kernel written once, run on whichever instructions the machine has.
//!
//! A [`Kernel`] is written over [`isa::Isa`], a small set of operations on lanes. [`isa::Scalar`] spells each of them
//! out in plain Rust and so defines the exact result; AVX2 and AVX-512 implement the same operations with intrinsics.
//! All three agree bit for bit on any bytes, because integer sums are exact and every float operation is an IEEE one
//! (with [`f32::mul_add`] for the fused ones) in an order that the kernel fixes. NaN equals NaN, whatever its payload.
//!
//! Sixteen is the number that the orders are built on: matrices are packed sixteen rows together, and reductions run
//! in sixteen partial sums. AVX2 covers it in two parts of eight lanes.

mod activation;
mod attention;
mod exp;
mod format;
mod isa;
mod matmul;
mod matrix;
mod norm;
mod rope;
mod set;
mod silu;
#[cfg(test)]
mod twins;

pub(crate) use activation::{ActivationRow, Activations, BLOCK, Needs};
pub(crate) use attention::{Attend, HeadShape, StoreHead};
pub(crate) use matmul::{MatMul, Write};
pub(crate) use matrix::{PackedMatrix, packed_bytes};
pub(crate) use norm::RmsNorm;
pub(crate) use rope::Rotate;
pub(crate) use set::Kernels;
pub use set::{KernelSet, KernelsUnavailable, UnknownKernelSet};
pub(crate) use silu::SiluMultiply;

/// Rows of a matrix that are packed together, and partial sums of a reduction.
pub(crate) const LANES: usize = 16;

/// A computation that can run on any instruction set. Implementations are `#[inline(always)]`, so that the whole of it
/// is compiled for the instructions of its caller.
pub(crate) trait Kernel {
    type Output;
    fn run<I: isa::Isa>(self, isa: I) -> Self::Output;
}
