//! A small `llama` model with made-up weights, whose vocabulary is the bytes: 259 tokens, of which the last 256 each
//! stand for one byte. What it says makes no sense, and is often no UTF-8, so that text is held back.

use helixflow_engine::gguf::{GgufWriter, TensorType};

pub(crate) const LAYERS: u32 = 2;
/// Long enough that a stream of full length outlives every test.
pub(crate) const CONTEXT: u32 = 60_000;
/// Tokens before those of the bytes: unknown, beginning, end.
pub(crate) const FIRST_BYTE: u32 = 3;
const WIDTH: usize = 64;
const KV_WIDTH: usize = 32;
const FEED_FORWARD: usize = 96;
const VOCABULARY: usize = 259;
/// Weights of a quantized block.
const BLOCK: usize = 32;
/// 0.02 in half precision.
const SCALE: [u8; 2] = 0x251f_u16.to_le_bytes();

const TEMPLATE: &str =
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant:";

/// Knuth's 64-bit linear congruential generator, high bits.
struct Bytes(u64);

impl Bytes {
    fn take(&mut self, count: usize) -> Vec<u8> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 56) as u8
        };
        (0..count).map(|_| next()).collect()
    }
}

fn matrix(writer: &mut GgufWriter, bytes: &mut Bytes, name: &str, columns: usize, rows: usize) {
    let block = |bytes: &mut Bytes| [&SCALE[..], &bytes.take(BLOCK)].concat();
    let data: Vec<u8> = (0..columns / BLOCK * rows).flat_map(|_| block(bytes)).collect();
    writer.tensor(name, TensorType::Q8_0, &[columns, rows], &data);
}

fn norm(writer: &mut GgufWriter, name: &str) {
    let ones: Vec<u8> = [1.0_f32; WIDTH].into_iter().flat_map(f32::to_le_bytes).collect();
    writer.tensor(name, TensorType::F32, &[WIDTH], &ones);
}

fn vocabulary(writer: &mut GgufWriter) {
    let bytes = (0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>"));
    let tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(str::to_owned).into_iter().chain(bytes).collect();
    let kinds: Vec<i32> = [2, 3, 3].into_iter().chain([6; 256]).collect();
    writer
        .string("tokenizer.ggml.model", "llama")
        .strings("tokenizer.ggml.tokens", &tokens)
        .signed_integers("tokenizer.ggml.token_type", &kinds)
        .floats("tokenizer.ggml.scores", &[0.0; VOCABULARY])
        .boolean("tokenizer.ggml.add_space_prefix", false)
        .string("tokenizer.chat_template", TEMPLATE);
}

/// The file's bytes.
pub(crate) fn file() -> Vec<u8> {
    let mut writer = GgufWriter::new();
    writer
        .string("general.architecture", "llama")
        .u32("llama.block_count", LAYERS)
        .u32("llama.embedding_length", WIDTH as u32)
        .u32("llama.feed_forward_length", FEED_FORWARD as u32)
        .u32("llama.attention.head_count", 4)
        .u32("llama.attention.head_count_kv", 2)
        .u32("llama.context_length", CONTEXT)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
    vocabulary(&mut writer);
    let bytes = &mut Bytes(7);
    matrix(&mut writer, bytes, "token_embd.weight", WIDTH, VOCABULARY);
    for layer in 0..LAYERS {
        for name in ["attn_norm", "ffn_norm"] {
            norm(&mut writer, &format!("blk.{layer}.{name}.weight"));
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
    norm(&mut writer, "output_norm.weight");
    writer.to_bytes()
}
