//! A small `llama` model with made-up weights: every matrix of the real one, in the real one's tensor types.

use helixflow_engine::compute::cpu::{CpuModel, CpuOptions};
use helixflow_engine::compute::{Batch, Compute, ComputeError, Input, Limits, Output, Shape};
use helixflow_engine::gguf::{GgufFile, GgufWriter, TensorType};
use helixflow_model::LayerRange;

pub(crate) const LAYERS: u32 = 3;
const WIDTH: usize = 64;
const KV_WIDTH: usize = 32;
const FEED_FORWARD: usize = 96;
/// No multiple of the rows that kernels take at once.
const VOCABULARY: usize = 301;
/// Weights of a quantized block.
const BLOCK: usize = 32;
/// 0.02 and -0.15 in half precision: weights of 4 bits come out between -0.15 and 0.15.
const SCALE: [u8; 2] = 0x251f_u16.to_le_bytes();
const MINIMUM: [u8; 2] = 0xb0cd_u16.to_le_bytes();

/// Knuth's 64-bit linear congruential generator, high bits.
struct Bytes(u64);

impl Bytes {
    fn next(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 56) as u8
    }

    fn take(&mut self, count: usize) -> impl Iterator<Item = u8> {
        (0..count).map(|_| self.next())
    }
}

fn matrix(writer: &mut GgufWriter, bytes: &mut Bytes, name: &str, columns: usize, rows: usize) {
    let mut data = Vec::new();
    for _ in 0..columns / BLOCK * rows {
        data.extend(SCALE);
        data.extend(MINIMUM);
        data.extend(bytes.take(BLOCK / 2));
    }
    writer.tensor(name, TensorType::Q4_1, &[columns, rows], &data);
}

fn norm(writer: &mut GgufWriter, bytes: &mut Bytes, name: &str) {
    let weights = bytes.take(WIDTH).map(|byte| 0.75 + f32::from(byte) / 512.0);
    let data: Vec<u8> = weights.flat_map(f32::to_le_bytes).collect();
    writer.tensor(name, TensorType::F32, &[WIDTH], &data);
}

fn file() -> GgufFile {
    let mut writer = GgufWriter::new();
    writer
        .string("general.architecture", "llama")
        .u32("llama.block_count", LAYERS)
        .u32("llama.embedding_length", WIDTH as u32)
        .u32("llama.feed_forward_length", FEED_FORWARD as u32)
        .u32("llama.attention.head_count", 4)
        .u32("llama.attention.head_count_kv", 2)
        .u32("llama.context_length", 512)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
    let bytes = &mut Bytes(7);
    let mut embedding = Vec::new();
    for _ in 0..WIDTH / BLOCK * VOCABULARY {
        embedding.extend(SCALE);
        embedding.extend(bytes.take(BLOCK));
    }
    writer.tensor("token_embd.weight", TensorType::Q8_0, &[WIDTH, VOCABULARY], &embedding);
    for layer in 0..LAYERS {
        for name in ["attn_norm", "ffn_norm"] {
            norm(&mut writer, bytes, &format!("blk.{layer}.{name}.weight"));
        }
        for (name, columns, rows) in [
            ("attn_q", WIDTH, WIDTH),
            ("attn_k", WIDTH, KV_WIDTH),
            ("attn_v", WIDTH, KV_WIDTH),
            ("attn_output", WIDTH, WIDTH),
            ("ffn_gate", WIDTH, FEED_FORWARD),
            ("ffn_up", WIDTH, FEED_FORWARD),
            ("ffn_down", FEED_FORWARD, WIDTH),
        ] {
            matrix(&mut writer, bytes, &format!("blk.{layer}.{name}.weight"), columns, rows);
        }
    }
    norm(&mut writer, bytes, "output_norm.weight");
    // Its own head: with the embedding for one, made-up layers say the last token over and over.
    matrix(&mut writer, bytes, "output.weight", WIDTH, VOCABULARY);
    GgufFile::from_bytes(writer.to_bytes()).expect("a sound file")
}

fn load(layers: LayerRange, options: &CpuOptions) -> CpuModel {
    CpuModel::load(&file(), layers, options, &mut |_, _| {}).expect("a sound model")
}

/// All layers in one piece.
pub(crate) fn whole(options: &CpuOptions) -> Box<dyn Compute> {
    Box::new(load(LayerRange { first: 0, end: LAYERS }, options))
}

/// The layers before and from `at` on, as two models that hand activations on.
pub(crate) fn split(at: u32, options: &CpuOptions) -> Box<dyn Compute> {
    let front = load(LayerRange { first: 0, end: at }, options);
    let back = load(LayerRange { first: at, end: LAYERS }, options);
    let shape = Shape { layers: LayerRange { first: 0, end: LAYERS }, ..front.shape().clone() };
    Box::new(Split { shape, front, back, between: Output::default() })
}

struct Split {
    shape: Shape,
    front: CpuModel,
    back: CpuModel,
    between: Output,
}

impl Compute for Split {
    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn limits(&self) -> Limits {
        self.front.limits()
    }

    fn forward(
        &mut self,
        batch: &Batch<'_>,
        input: Input<'_>,
        output: &mut Output,
    ) -> Result<(), ComputeError> {
        self.front.forward(batch, input, &mut self.between)?;
        self.back.forward(batch, Input::Hidden(&self.between.hidden), output)
    }
}
