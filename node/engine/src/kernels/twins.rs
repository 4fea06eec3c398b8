//! Holds every kernel to its scalar twin, bit for bit, on arbitrary bytes; and the scalar twin to plain arithmetic.

use proptest::prelude::*;

use super::activation::{ActivationRow, Activations, BLOCK, Needs, QuantBlock};
use super::matmul::{MatMul, Write};
use super::*;
use crate::compute::{PAGE_POSITIONS, PageId};
use crate::gguf::{TensorType, dequantize};

/// Numbers from a seed (SplitMix64), the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }

    /// Floats of ordinary size; with `wild`, one in sixteen has arbitrary bits: infinities, NaN and denormals too.
    fn floats(&mut self, count: usize, wild: bool) -> Vec<f32> {
        let ordinary = |bits: u64| (bits >> 40) as f32 / (1 << 23) as f32 - 1.0;
        let float = |numbers: &mut Self| match numbers.next() {
            bits if wild && bits.is_multiple_of(16) => f32::from_bits((bits >> 32) as u32),
            bits => ordinary(bits),
        };
        (0..count).map(|_| float(self)).collect()
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }).collect()
}

/// Runs a computation on every set of the machine and expects the scalar result each time.
fn same_on_every_set(compute: impl Fn(Kernels) -> Vec<f32>) {
    let scalar = bits(&compute(Kernels::new(KernelSet::Scalar).unwrap()));
    for set in KernelSet::available() {
        assert_eq!(bits(&compute(Kernels::new(set).unwrap())), scalar, "{set} differs from scalar");
    }
}

fn matrix(kind: TensorType, rows: usize, columns: usize, raw: &[u8]) -> (PackedMatrix, Vec<u8>) {
    let bytes = packed_bytes(kind, rows, columns).unwrap();
    let matrix = PackedMatrix { kind, rows, columns, range: 0..bytes };
    let mut packed = vec![0; bytes];
    matrix.pack(raw, &mut packed);
    (matrix, packed)
}

fn activations(kernels: Kernels, values: &[f32], columns: usize) -> Activations {
    let mut activations = Activations::default();
    activations.reset(values.len() / columns, columns, Needs { quants: true, values: true });
    for (row, values) in values.chunks_exact(columns).enumerate() {
        kernels.run(activations.prepare(row, values));
    }
    activations
}

fn multiply(
    kernels: Kernels,
    matrix: &PackedMatrix,
    packed: &[u8],
    inputs: &Activations,
    rows: usize,
) -> Vec<f32> {
    let stride = matrix.groups() * LANES;
    let mut out = vec![1.0; rows * stride];
    let rows: Vec<ActivationRow<'_>> = (0..rows).map(|row| inputs.row(row)).collect();
    for write in [Write::Store, Write::Add] {
        kernels.run(MatMul {
            matrix,
            weights: packed,
            groups: 0..matrix.groups(),
            rows: &rows,
            out: &mut out,
            stride,
            write,
        });
    }
    out
}

fn raw_matrix(numbers: &mut Numbers, kind: TensorType, rows: usize, columns: usize) -> Vec<u8> {
    numbers.bytes(rows * kind.row_bytes(columns).unwrap())
}

/// Makes the 16-bit scales of raw bytes (for plain types, the weights) small and finite, of either sign.
fn tame(kind: TensorType, mut raw: Vec<u8>) -> Vec<u8> {
    let high_bytes: &[usize] = match kind {
        TensorType::F32 => &[3],
        TensorType::F16 | TensorType::Q4_0 | TensorType::Q5_0 | TensorType::Q8_0 => &[1],
        TensorType::Q4_1 | TensorType::Q4K | TensorType::Q5K => &[1, 3],
        TensorType::Q6K => &[209],
    };
    for block in raw.chunks_exact_mut(kind.block_bytes()) {
        for &byte in high_bytes {
            // 0x20 is an exponent of 2⁻⁷ in 16 bits and of 2⁻⁶² in 32.
            block[byte] = (block[byte] & 0x80) | 0x20;
        }
    }
    raw
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_type_multiplies_alike_on_every_set(seed: u64, rows in 1_usize..40, inputs in 1_usize..16) {
        let numbers = &mut Numbers(seed);
        for kind in TensorType::ALL {
            let columns = kind.block_elements().max(BLOCK) * (1 + numbers.below(3));
            let raw = raw_matrix(numbers, kind, rows, columns);
            let values = numbers.floats(inputs * columns, seed.is_multiple_of(2));
            let (matrix, packed) = matrix(kind, rows, columns, &raw);
            same_on_every_set(|kernels| {
                let inputs_ready = activations(kernels, &values, columns);
                multiply(kernels, &matrix, &packed, &inputs_ready, inputs)
            });
        }
    }

    #[test]
    fn packing_keeps_every_weight(seed: u64, rows in 1_usize..40) {
        let numbers = &mut Numbers(seed);
        for kind in TensorType::ALL {
            let columns = kind.block_elements().max(BLOCK) * 2;
            let raw = raw_matrix(numbers, kind, rows, columns);
            let (matrix, packed) = matrix(kind, rows, columns, &raw);
            let mut plain = vec![0.0; rows * columns];
            dequantize(kind, &raw, &mut plain);
            for (row, plain) in plain.chunks_exact(columns).enumerate() {
                let mut unpacked = vec![0.0; columns - 5];
                matrix.row_part(&packed, row, 5..columns, &mut unpacked);
                prop_assert_eq!(bits(&unpacked), bits(&plain[5..]), "{}", kind);
            }
        }
    }

    #[test]
    fn products_are_those_of_plain_arithmetic(seed: u64) {
        let numbers = &mut Numbers(seed);
        let (rows, inputs) = (19, 3);
        for kind in TensorType::ALL {
            let columns = kind.block_elements().max(BLOCK) * 2;
            let raw = tame(kind, raw_matrix(numbers, kind, rows, columns));
            let values = numbers.floats(inputs * columns, false);
            let (matrix, packed) = matrix(kind, rows, columns, &raw);
            let kernels = Kernels::new(KernelSet::Scalar).unwrap();
            let ready = activations(kernels, &values, columns);
            let out = multiply(kernels, &matrix, &packed, &ready, inputs);
            let mut weights = vec![0.0; rows * columns];
            dequantize(kind, &raw, &mut weights);
            for (input, out) in out.chunks_exact(matrix.groups() * LANES).enumerate() {
                let input = plain_inputs(&ready.row(input), kind);
                for (row, weights) in weights.chunks_exact(columns).enumerate() {
                    let products = || weights.iter().zip(&input).map(|(&weight, &input)| f64::from(weight) * input);
                    let (exact, size) = (2.0 * products().sum::<f64>(), products().map(f64::abs).sum::<f64>());
                    let error = (f64::from(out[row]) - exact).abs();
                    prop_assert!(error <= 1e-5 * size, "{} row {}: off by {:e} of {:e}", kind, row, error, size);
                }
            }
        }
    }

    #[test]
    fn activations_are_quantized_alike_and_within_half_a_unit(seed: u64) {
        let values = Numbers(seed).floats(4 * BLOCK, true);
        same_on_every_set(|kernels| {
            let ready = activations(kernels, &values, 4 * BLOCK);
            let row = ready.row(0);
            let quants = row.blocks.iter().flat_map(|block| block.quants).map(f32::from);
            let terms = row.blocks.iter().flat_map(|block| {
                [block.scale, block.scaled_sum, block.sum as f32, block.first_half as f32]
            });
            quants.chain(terms).collect()
        });
        let ready = activations(Kernels::new(KernelSet::Scalar).unwrap(), &values, 4 * BLOCK);
        let row = ready.row(0);
        for (block, values) in row.blocks.iter().zip(values.chunks_exact(BLOCK)) {
            let scale = f64::from(block.scale);
            prop_assert!(block.quants.iter().all(|&quant| quant != i8::MIN));
            prop_assert_eq!(scale.is_nan(), values.iter().any(|value| !value.is_finite()));
            for (&quant, &value) in block.quants.iter().zip(values) {
                let error = (f64::from(quant) * scale - f64::from(value)).abs();
                prop_assert!(scale.is_nan() || error <= 0.501 * scale || value.abs() < 1e-35);
            }
        }
    }

    #[test]
    fn norm_and_gate_are_alike_on_every_set(seed: u64, blocks in 1_usize..20, wild: bool) {
        let numbers = &mut Numbers(seed);
        let x = numbers.floats(LANES * blocks, wild);
        let y: Vec<f32> = numbers.floats(LANES * blocks, wild).iter().map(|value| value * 50.0).collect();
        same_on_every_set(|kernels| {
            let mut normalized = vec![0.0; x.len()];
            kernels.run(RmsNorm { x: &x, weight: &y, epsilon: 1e-5, out: &mut normalized });
            let mut gate = y.clone();
            kernels.run(SiluMultiply { gate: &mut gate, up: &x });
            normalized.extend(gate);
            normalized
        });
    }

    #[test]
    fn attention_is_alike_on_every_set(
        seed: u64,
        eighths in 1_usize..13,
        heads in 1_usize..10,
        count in 1_usize..200,
        wild: bool,
    ) {
        let numbers = &mut Numbers(seed);
        let shape = HeadShape { size: 8 * eighths };
        let pages = count.div_ceil(PAGE_POSITIONS);
        let table: Vec<PageId> = (0..pages).rev().map(|page| PageId(page as u32)).collect();
        let queries = numbers.floats(heads * shape.size, wild && seed.is_multiple_of(4));
        let rows = numbers.floats(2 * count * shape.size, wild);
        let start = numbers.below(count);
        same_on_every_set(|kernels| {
            // What no position has written must not matter: it is NaN here.
            let mut cache = vec![0x7e00_u16; pages * shape.page_len()];
            for (position, row) in rows.chunks_exact(2 * shape.size).enumerate() {
                let page = table[position / PAGE_POSITIONS].0 as usize * shape.page_len();
                let page = &mut cache[page..page + shape.page_len()];
                let (key, value) = row.split_at(shape.size);
                kernels.run(StoreHead { shape, page, slot: position % PAGE_POSITIONS, key, value });
            }
            let mut scratch = vec![f32::NAN; HeadShape::scratch_len(count)];
            let mut out = vec![0.0; queries.len()];
            kernels.run(Attend {
                shape,
                cache: &cache,
                table: &table,
                positions: start..count,
                queries: &queries,
                scratch: &mut scratch,
                out: &mut out,
            });
            assert!(wild || out.iter().all(|value| value.is_finite()));
            out
        });
    }
}

/// The inputs that a type multiplies: quantized ones for quantized types, the floats themselves for plain ones.
fn plain_inputs(row: &ActivationRow<'_>, kind: TensorType) -> Vec<f64> {
    if kind.block_elements() == 1 {
        return row.values.iter().map(|&value| f64::from(value)).collect();
    }
    let value = |block: &QuantBlock| block.quants.map(|quant| f64::from(quant) * f64::from(block.scale));
    row.blocks.iter().flat_map(value).collect()
}

#[test]
fn the_extremes_of_every_type_overflow_nothing() {
    let columns = 256;
    for kind in TensorType::ALL {
        for (byte, input) in [(0x00, 1.0), (0xff, 1.0), (0xff, -1.0), (0x80, -1.0), (0x80, 1.0), (0x7f, -1.0)]
        {
            let raw = tame(kind, vec![byte; LANES * kind.row_bytes(columns).unwrap()]);
            let (matrix, packed) = matrix(kind, LANES, columns, &raw);
            same_on_every_set(|kernels| {
                let inputs = activations(kernels, &vec![input; columns], columns);
                let out = multiply(kernels, &matrix, &packed, &inputs, 1);
                assert!(out.iter().all(|value| value.is_finite()));
                out
            });
        }
    }
}

#[test]
fn attention_over_equal_keys_is_the_mean_of_the_values() {
    let shape = HeadShape { size: 40 };
    let kernels = Kernels::new(KernelSet::best()).unwrap();
    let mut cache = vec![0; 2 * shape.page_len()];
    for position in 0..100_usize {
        let page = &mut cache[position / PAGE_POSITIONS * shape.page_len()..][..shape.page_len()];
        let value = [position as f32; 40];
        kernels.run(StoreHead {
            shape,
            page,
            slot: position % PAGE_POSITIONS,
            key: &[0.5; 40],
            value: &value,
        });
    }
    let mut out = [0.0; 80];
    for (positions, mean) in [(0..100, 49.5), (70..100, 84.5), (33..34, 33.0)] {
        kernels.run(Attend {
            shape,
            cache: &cache,
            table: &[PageId(0), PageId(1)],
            positions,
            queries: &[0.25; 80],
            scratch: &mut vec![0.0; HeadShape::scratch_len(100)],
            out: &mut out,
        });
        assert!(out.iter().all(|value| (value - mean).abs() < 1e-4), "{out:?} is not {mean}");
    }
}
