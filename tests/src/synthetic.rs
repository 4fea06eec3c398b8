//! Small `llama` models with random weights, for tensor types and ways of turning that no model at hand has.
//!
//! Weights are random bytes under scales that keep activations near one, so every bit of every format occurs. Queries
//! and keys are made large: attention then looks at few positions, and depends on how they are turned. No text: the
//! vocabulary has no tokenizer, which llama.cpp accepts.

use helixflow_engine::gguf::{GgufWriter, TensorType};

/// A multiple of 256, as the K types need.
const WIDTH: usize = 256;
const FEED_FORWARD: usize = 512;
const LAYERS: u32 = 2;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_SIZE: usize = 64;
const CONTEXT: u32 = 512;
/// Number of tokens: no multiple of the rows that kernels take at once.
pub const VOCABULARY: u32 = 301;
/// The largest weight, about: rows of 256 then give about what goes in.
const LARGEST: f32 = 0.11;
/// How much larger queries and keys are.
const ATTENTION_GAIN: f32 = 2.0;

/// How heads are turned by position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Turning {
    /// By base 10,000, the default.
    Plain,
    /// By another base.
    Base(f32),
    /// As if positions were this many times closer.
    Linear(f32),
    /// Llama 3: each pair slowed by its own factor, from 1 for the fastest to 8 for the slowest.
    Factors,
}

/// What a model is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Synthetic {
    /// The type of every matrix.
    pub kind: TensorType,
    /// How heads are turned.
    pub turning: Turning,
    /// Whether the embedding is the head too.
    pub tied: bool,
}

impl Synthetic {
    /// The model as a GGUF file. The same description gives the same weights.
    #[must_use]
    pub fn to_gguf(self) -> Vec<u8> {
        let mut writer = GgufWriter::new();
        self.put_metadata(&mut writer);
        let mut weights = Weights { kind: self.kind, random: Random(self.kind.id().into()), writer };
        weights.matrix("token_embd", WIDTH, VOCABULARY as usize, 1.0);
        for layer in 0..LAYERS {
            weights.layer(layer);
        }
        weights.norm("output_norm");
        if !self.tied {
            weights.matrix("output", WIDTH, VOCABULARY as usize, 1.0);
        }
        if self.turning == Turning::Factors {
            let pairs = HEAD_SIZE / 2;
            let factor = |pair: usize| 8.0_f32.powf(pair as f32 / (pairs - 1) as f32);
            let factors: Vec<f32> = (0..pairs).map(factor).collect();
            weights.floats("rope_freqs", &factors);
        }
        weights.writer.to_bytes()
    }

    fn put_metadata(self, writer: &mut GgufWriter) {
        writer
            .string("general.architecture", "llama")
            .u32("llama.block_count", LAYERS)
            .u32("llama.embedding_length", WIDTH as u32)
            .u32("llama.feed_forward_length", FEED_FORWARD as u32)
            .u32("llama.attention.head_count", HEADS as u32)
            .u32("llama.attention.head_count_kv", KV_HEADS as u32)
            .u32("llama.context_length", CONTEXT)
            .u32("llama.vocab_size", VOCABULARY)
            .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
            .string("tokenizer.ggml.model", "none");
        match self.turning {
            Turning::Base(base) => {
                writer.f32("llama.rope.freq_base", base);
            }
            Turning::Linear(factor) => {
                writer.string("llama.rope.scaling.type", "linear").f32("llama.rope.scaling.factor", factor);
            }
            Turning::Plain | Turning::Factors => {}
        }
    }
}

/// Tensors as they are written.
struct Weights {
    kind: TensorType,
    random: Random,
    writer: GgufWriter,
}

impl Weights {
    fn layer(&mut self, layer: u32) {
        let (queries, keys) = (HEADS * HEAD_SIZE, KV_HEADS * HEAD_SIZE);
        for name in ["attn_norm", "ffn_norm"] {
            self.norm(&format!("blk.{layer}.{name}"));
        }
        for (name, columns, rows, gain) in [
            ("attn_q", WIDTH, queries, ATTENTION_GAIN),
            ("attn_k", WIDTH, keys, ATTENTION_GAIN),
            ("attn_v", WIDTH, keys, 1.0),
            ("attn_output", queries, WIDTH, 1.0),
            ("ffn_gate", WIDTH, FEED_FORWARD, 1.0),
            ("ffn_up", WIDTH, FEED_FORWARD, 1.0),
            ("ffn_down", FEED_FORWARD, WIDTH, 1.0),
        ] {
            self.matrix(&format!("blk.{layer}.{name}"), columns, rows, gain);
        }
    }

    fn norm(&mut self, name: &str) {
        let weights: Vec<f32> = (0..WIDTH).map(|_| 0.75 + 0.5 * self.random.unit()).collect();
        self.floats(name, &weights);
    }

    fn floats(&mut self, name: &str, values: &[f32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.writer.tensor(&format!("{name}.weight"), TensorType::F32, &[values.len()], &bytes);
    }

    fn matrix(&mut self, name: &str, columns: usize, rows: usize, gain: f32) {
        let blocks = columns / self.kind.block_elements() * rows;
        let bytes: Vec<u8> = (0..blocks).flat_map(|_| self.block(gain * LARGEST)).collect();
        self.writer.tensor(&format!("{name}.weight"), self.kind, &[columns, rows], &bytes);
    }

    /// A block of random numbers whose scales make the largest weight about `largest`.
    fn block(&mut self, largest: f32) -> Vec<u8> {
        if self.kind == TensorType::F32 {
            return (largest * (2.0 * self.random.unit() - 1.0)).to_le_bytes().to_vec();
        }
        let mut block: Vec<u8> = (0..self.kind.block_bytes()).map(|_| self.random.byte()).collect();
        let largest = largest * (0.75 + 0.5 * self.random.unit());
        for (offset, value) in self.halves(largest) {
            block[offset..offset + 2].copy_from_slice(&half::f16::from_f32(value).to_le_bytes());
        }
        block
    }

    /// The 16-bit floats of a block: where they stand, and their values. Six-bit scales and minimums are 32 on average,
    /// eight-bit ones 74 by root mean square.
    fn halves(&mut self, largest: f32) -> Vec<(usize, f32)> {
        match self.kind {
            TensorType::F32 => Vec::new(),
            TensorType::F16 => vec![(0, largest * (2.0 * self.random.unit() - 1.0))],
            TensorType::Q4_0 => vec![(0, largest / 8.0)],
            TensorType::Q4_1 => vec![(0, largest / 7.5), (2, -largest)],
            TensorType::Q5_0 => vec![(0, largest / 16.0)],
            TensorType::Q8_0 => vec![(0, largest / 128.0)],
            TensorType::Q4K => vec![(0, largest / (32.0 * 7.5)), (2, largest / 32.0)],
            TensorType::Q5K => vec![(0, largest / (32.0 * 15.5)), (2, largest / 32.0)],
            TensorType::Q6K => vec![(208, largest / (74.0 * 32.0))],
        }
    }
}

/// Steele and Vigna's SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }
}
