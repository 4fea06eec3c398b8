//! Small models of the `llama` architecture, made of numbers from a seed: the same bytes on every machine.

use helixflow_engine::gguf::{GgufFile, GgufWriter, TensorType};

/// Numbers from a seed (SplitMix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A float from -1 to 1.
    fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// What a synthetic model is made of.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) kind: TensorType,
    pub(crate) seed: u64,
    pub(crate) layers: usize,
    pub(crate) width: usize,
    pub(crate) inner: usize,
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_size: usize,
    pub(crate) vocabulary: usize,
    pub(crate) context: u32,
    /// Whether there is an output matrix of its own.
    pub(crate) untied: bool,
    pub(crate) window: Option<u32>,
    pub(crate) linear_scaling: Option<f32>,
    /// Whether there is a tensor of frequency factors, as Llama 3 has it.
    pub(crate) frequency_factors: bool,
}

impl Recipe {
    /// Three layers of width 256 with every matrix of one type. Neither the vocabulary nor the keys fill whole groups
    /// of sixteen rows.
    pub(crate) fn of(kind: TensorType) -> Self {
        Self {
            kind,
            seed: 7,
            layers: 3,
            width: 256,
            inner: 512,
            heads: 32,
            kv_heads: 4,
            head_size: 8,
            vocabulary: 203,
            context: 512,
            untied: false,
            window: None,
            linear_scaling: None,
            frequency_factors: false,
        }
    }

    pub(crate) fn file(&self) -> GgufFile {
        GgufFile::from_bytes(self.bytes()).unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.writer().to_bytes()
    }

    pub(crate) fn writer(&self) -> GgufWriter {
        let mut writer = GgufWriter::new();
        self.metadata(&mut writer);
        let numbers = &mut Numbers(self.seed);
        let (queries, keys) = (self.heads * self.head_size, self.kv_heads * self.head_size);
        self.matrix(&mut writer, numbers, "token_embd", self.vocabulary, self.width);
        for layer in 0..self.layers {
            let name = |tensor: &str| format!("blk.{layer}.{tensor}");
            self.vector(&mut writer, numbers, &name("attn_norm"));
            self.matrix(&mut writer, numbers, &name("attn_q"), queries, self.width);
            self.matrix(&mut writer, numbers, &name("attn_k"), keys, self.width);
            self.matrix(&mut writer, numbers, &name("attn_v"), keys, self.width);
            self.matrix(&mut writer, numbers, &name("attn_output"), self.width, queries);
            self.vector(&mut writer, numbers, &name("ffn_norm"));
            self.matrix(&mut writer, numbers, &name("ffn_gate"), self.inner, self.width);
            self.matrix(&mut writer, numbers, &name("ffn_up"), self.inner, self.width);
            self.matrix(&mut writer, numbers, &name("ffn_down"), self.width, self.inner);
        }
        self.vector(&mut writer, numbers, "output_norm");
        if self.untied {
            self.matrix(&mut writer, numbers, "output", self.vocabulary, self.width);
        }
        if self.frequency_factors {
            let factors: Vec<u8> =
                (0..self.head_size / 2).flat_map(|pair| (1.0 + pair as f32).to_le_bytes()).collect();
            writer.tensor("rope_freqs.weight", TensorType::F32, &[self.head_size / 2], &factors);
        }
        writer
    }

    fn metadata(&self, writer: &mut GgufWriter) {
        let number = |value: usize| u32::try_from(value).unwrap();
        writer
            .string("general.architecture", "llama")
            .u32("llama.block_count", number(self.layers))
            .u32("llama.embedding_length", number(self.width))
            .u32("llama.feed_forward_length", number(self.inner))
            .u32("llama.attention.head_count", number(self.heads))
            .u32("llama.attention.head_count_kv", number(self.kv_heads))
            .u32("llama.attention.key_length", number(self.head_size))
            .u32("llama.attention.value_length", number(self.head_size))
            .u32("llama.rope.dimension_count", number(self.head_size))
            .u32("llama.context_length", self.context)
            .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
            .f32("llama.rope.freq_base", 10_000.0);
        if let Some(window) = self.window {
            writer.u32("llama.attention.sliding_window", window);
        }
        if let Some(factor) = self.linear_scaling {
            writer.string("llama.rope.scaling.type", "linear").f32("llama.rope.scaling.factor", factor);
        }
    }

    fn vector(&self, writer: &mut GgufWriter, numbers: &mut Numbers, name: &str) {
        let values = (0..self.width).flat_map(|_| (1.0 + 0.25 * numbers.float()).to_le_bytes());
        let values: Vec<u8> = values.collect();
        writer.tensor(&format!("{name}.weight"), TensorType::F32, &[self.width], &values);
    }

    fn matrix(
        &self,
        writer: &mut GgufWriter,
        numbers: &mut Numbers,
        name: &str,
        rows: usize,
        columns: usize,
    ) {
        let raw = matrix(self.kind, numbers, rows * columns);
        writer.tensor(&format!("{name}.weight"), self.kind, &[columns, rows], &raw);
    }
}

/// Weights of about ±0.1 around zero: arbitrary numbers with scales to match.
fn matrix(kind: TensorType, numbers: &mut Numbers, elements: usize) -> Vec<u8> {
    let half = |value: f32| half::f16::from_f32(value).to_le_bytes();
    if kind == TensorType::F32 {
        return (0..elements).flat_map(|_| (0.1 * numbers.float()).to_le_bytes()).collect();
    }
    if kind == TensorType::F16 {
        return (0..elements).flat_map(|_| half(0.1 * numbers.float())).collect();
    }
    let blocks = elements / kind.block_elements();
    let mut raw: Vec<u8> = (0..blocks * kind.block_bytes()).map(|_| numbers.next() as u8).collect();
    for block in raw.chunks_exact_mut(kind.block_bytes()) {
        // Scales differ from block to block by up to a quarter.
        let vary = 1.0 + 0.25 * numbers.float();
        let (scale, minimum) = match kind {
            TensorType::Q4_0 => (0.0125, None),
            TensorType::Q4_1 => (0.0125, Some(-0.1)),
            TensorType::Q5_0 => (0.006, None),
            TensorType::Q8_0 => (0.0008, None),
            TensorType::Q4K => (0.0004, Some(0.003)),
            TensorType::Q5K => (0.0002, Some(0.003)),
            _ => (0.000_03, None),
        };
        let offset = if kind == TensorType::Q6K { 208 } else { 0 };
        block[offset..offset + 2].copy_from_slice(&half(scale * vary));
        if let Some(minimum) = minimum {
            block[2..4].copy_from_slice(&half(minimum * vary));
        }
    }
    raw
}
