//! Floats without rounded activations: the model as it is.

use anyhow::Result;
use helixflow_engine::gguf::{TensorType, dequantize};

use super::Arithmetic;
use crate::rows::Rows;

/// Partial sums of a product: enough for the compiler to use wide instructions.
const PARTIAL_SUMS: usize = 16;

/// Every weight as a float, every activation as it comes.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Arithmetic for Plain {
    fn normalize(&self, rows: &Rows, weight: &[f32], epsilon: f32) -> Rows {
        let mut normal = rows.clone();
        for row in normal.iter_mut() {
            let squares: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
            let scale = (squares / row.len() as f64 + f64::from(epsilon)).sqrt().recip() as f32;
            for (x, weight) in row.iter_mut().zip(weight) {
                *x *= scale * weight;
            }
        }
        normal
    }

    fn multiply(&self, rows: &Rows, kind: TensorType, matrix: &[u8], columns: usize) -> Result<Rows> {
        let row_bytes = columns / kind.block_elements() * kind.block_bytes();
        let mut products = Rows::zeros(rows.count(), matrix.len() / row_bytes);
        let mut weights = vec![0.0; columns];
        for (index, row) in matrix.chunks_exact(row_bytes).enumerate() {
            dequantize(kind, row, &mut weights);
            for (inputs, out) in rows.iter().zip(products.iter_mut()) {
                out[index] = dot(inputs, &weights);
            }
        }
        Ok(products)
    }

    fn keep(&self, _rows: &mut Rows) {}

    fn attend(&self, query: &[f32], keys: &[&[f32]], values: &[&[f32]], _first: usize) -> Vec<f32> {
        let scores: Vec<f32> = keys.iter().map(|key| dot(query, key)).collect();
        let mut seen = vec![0.0; query.len()];
        for (weight, value) in softmax(&scores).into_iter().zip(values) {
            for (out, value) in seen.iter_mut().zip(*value) {
                *out += weight * value;
            }
        }
        seen
    }

    fn gate(&self, gate: f32, up: f32) -> f32 {
        gate / (1.0 + (-gate).exp()) * up
    }
}

/// The sum of products of two rows whose length is a multiple of 16.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; PARTIAL_SUMS];
    for (a, b) in a.as_chunks::<PARTIAL_SUMS>().0.iter().zip(b.as_chunks::<PARTIAL_SUMS>().0) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// Weights that add up to one, in proportion to the exponentials of the scores.
fn softmax(scores: &[f32]) -> Vec<f32> {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = scores.iter().map(|score| f64::from(score - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|exponential| (exponential / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_the_sum_over_all_columns() {
        let counting: Vec<f32> = (0..48_u8).map(f32::from).collect();
        assert_eq!(dot(&counting, &[2.0; 48]), 2256.0);
    }

    #[test]
    fn weights_are_in_proportion_to_exponentials_however_large_the_scores() {
        let weights = softmax(&[1000.0, 1000.0 + 3.0_f32.ln()]);
        assert!((weights[0] - 0.25).abs() < 1e-4 && (weights[1] - 0.75).abs() < 1e-4, "{weights:?}");
    }
}
