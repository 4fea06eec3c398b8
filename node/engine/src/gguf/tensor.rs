//! Tensor types and the directory entry of a tensor.

use std::fmt;
use std::ops::Range;

/// How a tensor's elements are stored. Layouts are those of ggml's `block_*` structures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TensorType {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// Blocks of 32: a scale, 4-bit values less 8.
    Q4_0,
    /// Blocks of 32: a scale and a minimum, 4-bit values.
    Q4_1,
    /// Blocks of 32: a scale, 5-bit values less 16.
    Q5_0,
    /// Blocks of 32: a scale, signed bytes.
    Q8_0,
    /// Blocks of 256: eight 6-bit scales and minimums, 4-bit values.
    Q4K,
    /// Blocks of 256: eight 6-bit scales and minimums, 5-bit values.
    Q5K,
    /// Blocks of 256: sixteen 8-bit scales, 6-bit values less 32.
    Q6K,
}

/// ggml's numbers and names of the types that are refused by name.
const REFUSED: [(u32, &str); 21] = [
    (7, "Q5_1"),
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (30, "BF16"),
    (39, "MXFP4"),
];

impl TensorType {
    /// Every type that the engine computes.
    pub const ALL: [Self; 9] = [
        Self::F32,
        Self::F16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q8_0,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// ggml's number of this type.
    pub fn id(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q8_0 => 8,
            Self::Q4K => 12,
            Self::Q5K => 13,
            Self::Q6K => 14,
        }
    }

    /// The type with ggml's number, or the name under which it is refused.
    pub(super) fn from_id(id: u32) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.id() == id).ok_or_else(|| {
            match REFUSED.iter().find(|(refused, _)| *refused == id) {
                Some((_, name)) => (*name).to_owned(),
                None => format!("type {id}"),
            }
        })
    }

    /// Elements in one block; rows are whole blocks.
    pub fn block_elements(self) -> usize {
        match self {
            Self::F32 | Self::F16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of one block in the file.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Bytes of a row of `columns` elements, or `None` where that is no whole number of blocks.
    pub fn row_bytes(self, columns: usize) -> Option<usize> {
        let whole = columns.is_multiple_of(self.block_elements());
        whole
            .then(|| columns / self.block_elements())
            .and_then(|blocks| blocks.checked_mul(self.block_bytes()))
    }

    /// Where the 16-bit floats (scales, minimums, or the weight itself) stand in a block.
    fn half_offsets(self) -> &'static [usize] {
        match self {
            Self::F32 => &[],
            Self::F16 | Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => &[0],
            Self::Q4_1 | Self::Q4K | Self::Q5K => &[0, 2],
            Self::Q6K => &[208],
        }
    }

    /// Whether every float among `bytes`, weight or scale, is finite.
    pub fn all_finite(self, bytes: &[u8]) -> bool {
        if self == Self::F32 {
            return bytes.as_chunks::<4>().0.iter().all(|raw| f32::from_le_bytes(*raw).is_finite());
        }
        // A 16-bit float is infinite or NaN when its five exponent bits are all ones.
        let finite = |block: &[u8], offset: usize| block[offset + 1] & 0x7c != 0x7c;
        let blocks = bytes.chunks_exact(self.block_bytes());
        self.half_offsets().iter().all(|&offset| blocks.clone().all(|block| finite(block, offset)))
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
        })
    }
}

/// A tensor's place in the file: checked to lie inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// How its elements are stored.
    pub kind: TensorType,
    /// Elements along each dimension, the fastest first: `[columns, rows]` for a matrix.
    pub dimensions: Vec<usize>,
    /// Its bytes in the file.
    pub range: Range<usize>,
}

impl TensorInfo {
    /// Length of a row.
    pub fn columns(&self) -> usize {
        self.dimensions.first().copied().unwrap_or(1)
    }

    /// Number of rows; further dimensions are counted as rows.
    pub fn rows(&self) -> usize {
        self.dimensions.iter().skip(1).product()
    }
}
