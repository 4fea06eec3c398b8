//! The features of the `llama` family, each seen to act, and held to a plain computation in 64-bit floats.

use helixflow_engine::compute::cpu::Hyperparameters;
use helixflow_engine::gguf::{GgufFile, TensorType, dequantize};

use crate::run::{in_chunks, load, options, tokens};
use crate::synthetic::Recipe;

/// A plain transformer in 64-bit floats: one sequence, every position's logits.
struct Plain<'a> {
    file: &'a GgufFile,
    recipe: &'a Recipe,
}

impl Plain<'_> {
    fn tensor(&self, name: &str) -> Vec<f64> {
        let (info, bytes) = self.file.tensor(&format!("{name}.weight")).unwrap();
        let mut values = vec![0.0; info.rows() * info.columns()];
        dequantize(info.kind, bytes, &mut values);
        values.into_iter().map(f64::from).collect()
    }

    fn norm(&self, x: &[f64], name: &str) -> Vec<f64> {
        let mean = x.iter().map(|value| value * value).sum::<f64>() / x.len() as f64;
        let scale = 1.0 / (mean + 1e-5).sqrt();
        x.iter().zip(self.tensor(name)).map(|(value, weight)| value * scale * weight).collect()
    }

    fn turn(&self, head: &mut [f64], position: usize) {
        let pairs = head.len() / 2;
        for (pair, values) in head.chunks_exact_mut(2).enumerate() {
            let factor = if self.recipe.frequency_factors { 1.0 + pair as f64 } else { 1.0 };
            let scaling = f64::from(self.recipe.linear_scaling.unwrap_or(1.0));
            let frequency = 10_000_f64.powf(-(pair as f64) / pairs as f64) / factor / scaling;
            let (sine, cosine) = (position as f64 * frequency).sin_cos();
            (values[0], values[1]) =
                (values[0] * cosine - values[1] * sine, values[0] * sine + values[1] * cosine);
        }
    }

    fn attention(&self, queries: &[Vec<f64>], keys: &[Vec<f64>], values: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let size = self.recipe.head_size;
        let shared = self.recipe.heads / self.recipe.kv_heads;
        let row = |(position, query): (usize, &Vec<f64>)| -> Vec<f64> {
            let first = self.recipe.window.map_or(0, |window| (position + 1).saturating_sub(window as usize));
            let head = |head: usize| {
                let kv = head / shared * size..(head / shared + 1) * size;
                let query = &query[head * size..(head + 1) * size];
                let score = |key: &Vec<f64>| dot(query, &key[kv.clone()]) / (size as f64).sqrt();
                let weights: Vec<f64> = keys[first..=position].iter().map(|key| score(key).exp()).collect();
                let sum: f64 = weights.iter().sum();
                let values = &values[first..=position];
                kv.map(move |at| weights.iter().zip(values).map(|(w, v)| w * v[at]).sum::<f64>() / sum)
                    .collect::<Vec<_>>()
            };
            (0..self.recipe.heads).flat_map(head).collect()
        };
        queries.iter().enumerate().map(row).collect()
    }

    fn layer(&self, rows: &mut [Vec<f64>], layer: usize) {
        let name = |tensor: &str| format!("blk.{layer}.{tensor}");
        let normed: Vec<_> = rows.iter().map(|row| self.norm(row, &name("attn_norm"))).collect();
        let [mut queries, mut keys, values] = ["attn_q", "attn_k", "attn_v"].map(|tensor| {
            let matrix = self.tensor(&name(tensor));
            normed.iter().map(|row| multiply(&matrix, row)).collect::<Vec<_>>()
        });
        for rows in [&mut queries, &mut keys] {
            for (position, row) in rows.iter_mut().enumerate() {
                row.chunks_exact_mut(self.recipe.head_size).for_each(|head| self.turn(head, position));
            }
        }
        let attended = self.attention(&queries, &keys, &values);
        let output = self.tensor(&name("attn_output"));
        let [gate, up, down] = ["ffn_gate", "ffn_up", "ffn_down"].map(|tensor| self.tensor(&name(tensor)));
        for (row, attended) in rows.iter_mut().zip(attended) {
            add(row, &multiply(&output, &attended));
            let normed = self.norm(row, &name("ffn_norm"));
            let gated = multiply(&gate, &normed).into_iter().map(|value| value / (1.0 + (-value).exp()));
            let inner: Vec<f64> = gated.zip(multiply(&up, &normed)).map(|(gate, up)| gate * up).collect();
            add(row, &multiply(&down, &inner));
        }
    }

    fn logits(&self, tokens: &[u32]) -> Vec<f64> {
        let embedding = self.tensor("token_embd");
        let width = self.recipe.width;
        let mut rows: Vec<Vec<f64>> =
            tokens.iter().map(|&token| embedding[token as usize * width..][..width].to_vec()).collect();
        for layer in 0..self.recipe.layers {
            self.layer(&mut rows, layer);
        }
        let head = if self.recipe.untied { self.tensor("output") } else { embedding };
        rows.iter().flat_map(|row| multiply(&head, &self.norm(row, "output_norm"))).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn multiply(matrix: &[f64], row: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(row.len()).map(|weights| dot(weights, row)).collect()
}

fn add(row: &mut [f64], other: &[f64]) {
    row.iter_mut().zip(other).for_each(|(value, other)| *value += other);
}

/// The root mean square of the difference to the plain computation, relative to that of the logits.
fn distance(recipe: &Recipe, against: &Recipe) -> f64 {
    let tokens = tokens(70);
    let file = recipe.file();
    let layers = Hyperparameters::read(&file).unwrap().all_layers();
    let got = in_chunks(&mut [load(&file, layers, &options())], &tokens, 70);
    let plain = Plain { file: &against.file(), recipe: against }.logits(&tokens);
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let difference = square(&mut got.iter().zip(&plain).map(|(got, plain)| f64::from(*got) - plain));
    (difference / square(&mut plain.iter().copied())).sqrt()
}

/// Every feature at once, in a type whose activations stay floats: only 16-bit keys and values differ.
fn everything() -> Recipe {
    Recipe {
        width: 64,
        heads: 6,
        kv_heads: 2,
        head_size: 32,
        inner: 96,
        window: Some(20),
        linear_scaling: Some(1.5),
        frequency_factors: true,
        untied: true,
        ..Recipe::of(TensorType::F32)
    }
}

#[test]
fn plain_types_are_within_16_bit_keys_and_values_of_the_plain_computation() {
    for kind in [TensorType::F32, TensorType::F16] {
        let recipe = Recipe { kind, ..everything() };
        let distance = distance(&recipe, &recipe);
        assert!(distance < 1e-3, "{kind}: {distance:e}");
    }
}

#[test]
fn quantized_types_are_within_8_bit_activations_of_the_plain_computation() {
    for kind in TensorType::ALL.into_iter().filter(|kind| kind.block_elements() > 1) {
        let recipe = Recipe::of(kind);
        let distance = distance(&recipe, &recipe);
        assert!(distance < 0.03, "{kind}: {distance:e}");
    }
}

#[test]
fn each_feature_of_the_family_acts() {
    let with = everything();
    for without in [
        Recipe { window: None, ..with.clone() },
        Recipe { linear_scaling: None, ..with.clone() },
        Recipe { frequency_factors: false, ..with.clone() },
        Recipe { untied: false, ..with.clone() },
    ] {
        let distance = distance(&with, &without);
        assert!(distance > 0.02, "{distance:e} between {with:?} and {without:?}");
    }
}
