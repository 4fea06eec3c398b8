//! The engine's rule of rounding and its promised order of operations, spelled out one number after the other.
//!
//! Products are computed for the tensor types of the default model, Q4_1 and Q8_0: what is tested is the order around
//! them, which is the same for every type. The kernels of each type are held to plain arithmetic where they are.

use anyhow::{Result, bail};
use half::f16;
use helixflow_engine::gguf::TensorType;

use super::Arithmetic;
use crate::rows::Rows;

/// Activations that share a scale; both weight types have blocks of the same length.
const BLOCK: usize = 32;
/// Partial sums of a norm and of a softmax, and half of them again and again when they are added.
const PARTIAL_SUMS: usize = 16;

/// The engine's arithmetic.
#[derive(Clone, Copy, Debug)]
pub struct AsEngine;

/// 32 activations as whole numbers, -127 to 127.
struct Activations {
    numbers: [i16; BLOCK],
    scale: f32,
    /// `scale` times the sum of the numbers.
    scaled_sum: f32,
}

/// 32 weights as whole numbers: each stands for `scale · number + minimum`.
struct Weights {
    numbers: [i16; BLOCK],
    scale: f32,
    minimum: Option<f32>,
}

impl Arithmetic for AsEngine {
    fn normalize(&self, rows: &Rows, weight: &[f32], epsilon: f32) -> Rows {
        let mut normal = rows.clone();
        for row in normal.iter_mut() {
            let mut squares = [0.0; PARTIAL_SUMS];
            for (index, x) in row.iter().enumerate() {
                squares[index % PARTIAL_SUMS] = x.mul_add(*x, squares[index % PARTIAL_SUMS]);
            }
            let scale = 1.0 / (tree_sum(squares) / row.len() as f32 + epsilon).sqrt();
            for (x, weight) in row.iter_mut().zip(weight) {
                *x = *x * scale * weight;
            }
        }
        normal
    }

    fn multiply(&self, rows: &Rows, kind: TensorType, matrix: &[u8], columns: usize) -> Result<Rows> {
        let decode = match kind {
            TensorType::Q4_1 => q4_1,
            TensorType::Q8_0 => q8_0,
            other => bail!("{other} is not computed in the engine's order here"),
        };
        let row_bytes = columns / BLOCK * kind.block_bytes();
        let activations: Vec<Vec<Activations>> = rows.iter().map(rounded).collect();
        let mut products = Rows::zeros(rows.count(), matrix.len() / row_bytes);
        for (index, row) in matrix.chunks_exact(row_bytes).enumerate() {
            let weights: Vec<Weights> = row.chunks_exact(kind.block_bytes()).map(decode).collect();
            for (activations, out) in activations.iter().zip(products.iter_mut()) {
                out[index] = product(&weights, activations);
            }
        }
        Ok(products)
    }

    fn keep(&self, rows: &mut Rows) {
        for x in rows.values_mut() {
            *x = f16::from_f32(*x).to_f32();
        }
    }

    fn attend(&self, query: &[f32], keys: &[&[f32]], values: &[&[f32]], first: usize) -> Vec<f32> {
        let score = |key: &&[f32]| query.iter().zip(*key).fold(0.0, |sum, (q, k)| q.mul_add(*k, sum));
        let scores: Vec<f32> = keys.iter().map(score).collect();
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sums = [0.0; PARTIAL_SUMS];
        let mut seen = vec![0.0; query.len()];
        for (position, (score, value)) in (first..).zip(scores.iter().zip(values)) {
            let weight = exp(score - largest);
            sums[position % PARTIAL_SUMS] += weight;
            for (out, value) in seen.iter_mut().zip(*value) {
                *out = weight.mul_add(*value, *out);
            }
        }
        let inverse = 1.0 / tree_sum(sums);
        seen.iter().map(|sum| sum * inverse).collect()
    }

    fn gate(&self, gate: f32, up: f32) -> f32 {
        gate / (1.0 + exp(-gate)) * up
    }
}

/// Whole numbers times a 127th of each block's largest magnitude, ties to even.
fn rounded(row: &[f32]) -> Vec<Activations> {
    let round = |block: &[f32; BLOCK]| {
        let largest = block.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        let numbers = block.map(|x| (x * inverse).round_ties_even() as i16);
        let scale = largest / 127.0;
        let sum: i16 = numbers.iter().sum();
        Activations { numbers, scale, scaled_sum: scale * f32::from(sum) }
    };
    row.as_chunks().0.iter().map(round).collect()
}

/// Block after block: the exact sum of products, scaled by both scales, then the minimum.
fn product(weights: &[Weights], activations: &[Activations]) -> f32 {
    let mut sum = 0.0;
    for (weights, activations) in weights.iter().zip(activations) {
        let products = weights.numbers.iter().zip(&activations.numbers);
        let dot: i32 = products.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        sum = (dot as f32 * activations.scale).mul_add(weights.scale, sum);
        if let Some(minimum) = weights.minimum {
            sum = minimum.mul_add(activations.scaled_sum, sum);
        }
    }
    sum
}

fn half(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// A scale, a minimum, and sixteen bytes: numbers 0 to 15 in their low halves, 16 to 31 in their high ones.
fn q4_1(block: &[u8]) -> Weights {
    let number = |index: usize| {
        let byte = block[4 + index % 16];
        i16::from(if index < 16 { byte & 15 } else { byte >> 4 })
    };
    Weights { numbers: std::array::from_fn(number), scale: half(block), minimum: Some(half(&block[2..])) }
}

/// A scale and 32 signed bytes.
fn q8_0(block: &[u8]) -> Weights {
    let number = |index: usize| i16::from(block[2 + index].cast_signed());
    Weights { numbers: std::array::from_fn(number), scale: half(block), minimum: None }
}

/// Halves, quarters, eighths: each sum with the one half the rest away.
fn tree_sum(mut sums: [f32; PARTIAL_SUMS]) -> f32 {
    for half in [8, 4, 2, 1] {
        for index in 0..half {
            sums[index] += sums[index + half];
        }
    }
    sums[0]
}

/// e to the power of x by the polynomial of the Cephes library, which the engine uses on every CPU.
fn exp(x: f32) -> f32 {
    const LOWEST: f32 = -87.3;
    if x < LOWEST {
        return 0.0;
    }
    let bounded = x.clamp(LOWEST, 88.0);
    let n = (bounded * std::f32::consts::LOG2_E).round_ties_even();
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, bounded));
    let coefficients = [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let sum =
        coefficients.into_iter().fold(1.987_569_1e-4_f32, |sum, coefficient| sum.mul_add(r, coefficient));
    let power_of_two = f32::from_bits(((n as i32 + 127) as u32) << 23);
    sum.mul_add(r * r, r + 1.0) * power_of_two
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_rounded_to_127ths_of_their_blocks_largest() {
        let mut block = [0.0; BLOCK];
        block[..3].copy_from_slice(&[-2.54, 0.029, 0.031]);
        let rounded = &rounded(&block)[0];
        assert_eq!(rounded.numbers[..4], [-127, 1, 2, 0]);
        assert!((rounded.scale - 0.02).abs() < 1e-8 && (rounded.scaled_sum + 2.48).abs() < 1e-6);
    }

    #[test]
    fn the_exponential_is_the_exponential() {
        for x in [-87.0_f32, -3.5, -0.1, 0.0, 1.0, 80.0] {
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-6, "exp({x}) is not {}", exp(x));
        }
        assert_eq!(exp(-88.0), 0.0);
    }
}
