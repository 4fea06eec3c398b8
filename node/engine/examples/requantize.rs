//! Writes a model again with its Q4_1 matrices in Q4_0, so that the benchmark can show both types of the same weights.
//!
//! `requantize MODEL.gguf OUTPUT.gguf`. The rule is that of ggml's `quantize_row_q4_0`: the value of largest magnitude
//! becomes -8.

use std::error::Error;
use std::path::Path;

use half::f16;
use helixflow_engine::gguf::{GgufFile, GgufWriter, TensorType, dequantize};

/// Weights of a block.
const BLOCK: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, output] = arguments.as_slice() else { return Err("usage: requantize MODEL OUTPUT".into()) };
    let file = GgufFile::open(Path::new(model))?;
    let mut writer = GgufWriter::new();
    writer.metadata_of(&file);
    for (name, info) in file.tensors() {
        let (_, bytes) = file.tensor(name)?;
        if info.kind == TensorType::Q4_1 {
            let mut values = vec![0.0; info.columns() * info.rows()];
            dequantize(info.kind, bytes, &mut values);
            let blocks: Vec<u8> = values.as_chunks().0.iter().flat_map(q4_0).collect();
            writer.tensor(name, TensorType::Q4_0, &info.dimensions, &blocks);
        } else {
            writer.tensor(name, info.kind, &info.dimensions, bytes);
        }
    }
    write(Path::new(output), &writer.to_bytes())?;
    Ok(())
}

/// A scale, then numbers 0 to 15, 8 for zero: the first sixteen in the low halves of bytes.
fn q4_0(values: &[f32; BLOCK]) -> [u8; 18] {
    let largest =
        values.iter().fold(0.0_f32, |largest, &x| if x.abs() > largest.abs() { x } else { largest });
    let scale = largest / -8.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let number = |x: f32| (x * inverse + 8.5).clamp(0.0, 15.0) as u8;
    let mut block = [0; 18];
    block[..2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
    let (low, high) = values.split_at(BLOCK / 2);
    for (byte, (low, high)) in block[2..].iter_mut().zip(low.iter().zip(high)) {
        *byte = number(*low) | (number(*high) << 4);
    }
    block
}

#[expect(clippy::disallowed_methods, reason = "a tool writes its file")]
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::write(path, bytes)
}
