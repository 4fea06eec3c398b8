//! The plain meaning of a tensor's bytes, one element at a time.
//!
//! Slow and obvious: it is what packing, kernels and reference computations are held to. Layouts and formulas are
//! those of ggml (`ggml-common.h`, `dequantize_row_*`).

use half::f16;

use super::TensorType;

fn half_at(block: &[u8], offset: usize) -> f32 {
    f16::from_le_bytes([block[offset], block[offset + 1]]).to_f32()
}

/// The values of `bytes`, which hold whole blocks of `kind`, into `out`; surplus on either side is left alone.
pub fn dequantize(kind: TensorType, bytes: &[u8], out: &mut [f32]) {
    let blocks = bytes.chunks_exact(kind.block_bytes());
    for (block, values) in blocks.zip(out.chunks_exact_mut(kind.block_elements())) {
        for (index, value) in values.iter_mut().enumerate() {
            *value = element(kind, block, index);
        }
    }
}

/// Element `index` of a block.
fn element(kind: TensorType, block: &[u8], index: usize) -> f32 {
    match kind {
        TensorType::F32 => f32::from_le_bytes([block[0], block[1], block[2], block[3]]),
        TensorType::F16 => half_at(block, 0),
        TensorType::Q4_0 => half_at(block, 0) * (f32::from(nibble(&block[2..], index)) - 8.0),
        TensorType::Q4_1 => half_at(block, 0) * f32::from(nibble(&block[4..], index)) + half_at(block, 2),
        TensorType::Q5_0 => {
            let high = (block[2 + index / 8] >> (index % 8)) & 1;
            half_at(block, 0) * (f32::from(nibble(&block[6..], index) | (high << 4)) - 16.0)
        }
        TensorType::Q8_0 => half_at(block, 0) * f32::from(block[2 + index].cast_signed()),
        TensorType::Q4K => {
            let (scale, minimum) = k_scale_minimum(block, index / 32);
            scale * f32::from(k_nibble(&block[16..], index)) - minimum
        }
        TensorType::Q5K => {
            let (scale, minimum) = k_scale_minimum(block, index / 32);
            let high = (block[16 + index % 32] >> (index / 32)) & 1;
            scale * f32::from(k_nibble(&block[48..], index) | (high << 4)) - minimum
        }
        TensorType::Q6K => {
            let scale = half_at(block, 208) * f32::from(block[192 + index / 16].cast_signed());
            scale * (f32::from(six_bits(block, index)) - 32.0)
        }
    }
}

/// Blocks of 32: elements 0 to 15 in the low halves of 16 bytes, 16 to 31 in the high halves.
pub(crate) fn nibble(bytes: &[u8], index: usize) -> u8 {
    if index < 16 { bytes[index] & 15 } else { bytes[index - 16] >> 4 }
}

/// Q4_K and Q5_K: each 32 bytes hold 32 elements in their low halves and the next 32 in their high ones.
pub(crate) fn k_nibble(bytes: &[u8], index: usize) -> u8 {
    let byte = bytes[index / 64 * 32 + index % 32];
    if index % 64 < 32 { byte & 15 } else { byte >> 4 }
}

/// Q4_K and Q5_K: the 6-bit scale and minimum of 32 elements, packed into 12 bytes (`get_scale_min_k4`).
pub(crate) fn k_six_bit_pair(packed: &[u8], sub_block: usize) -> (u8, u8) {
    if sub_block < 4 {
        (packed[sub_block] & 63, packed[sub_block + 4] & 63)
    } else {
        let low = packed[sub_block + 4];
        let scale = (low & 15) | (packed[sub_block - 4] >> 6 << 4);
        let minimum = (low >> 4) | (packed[sub_block] >> 6 << 4);
        (scale, minimum)
    }
}

fn k_scale_minimum(block: &[u8], sub_block: usize) -> (f32, f32) {
    let (scale, minimum) = k_six_bit_pair(&block[4..16], sub_block);
    (half_at(block, 0) * f32::from(scale), half_at(block, 2) * f32::from(minimum))
}

/// Q6_K: four bits in the first 128 bytes, two in the next 64; each half of the block has its own part of both.
pub(crate) fn six_bits(block: &[u8], index: usize) -> u8 {
    let (half, within) = (index / 128, index % 128);
    let (quarter, lane) = (within / 32, within % 32);
    let low = block[half * 64 + (quarter % 2) * 32 + lane];
    let low = if quarter < 2 { low & 15 } else { low >> 4 };
    let high = (block[128 + half * 32 + lane] >> (2 * quarter)) & 3;
    low | (high << 4)
}
