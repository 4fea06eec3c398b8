//! Pins the bits of the arithmetic. When this test must change, `ARITHMETIC_REVISION` changes with it.

use helixflow_engine::KernelSet;
use helixflow_engine::compute::cpu::{ARITHMETIC_REVISION, CpuOptions, NUMERICS_CLASS};
use helixflow_engine::gguf::TensorType;

use crate::run::{bits, in_chunks, load, options, tokens};
use crate::synthetic::Recipe;

/// Revision 1: the hash of the logits of 70 positions, by the type of the weights.
const GOLDEN: [(TensorType, u64); 9] = [
    (TensorType::F32, 0x6c80_5004_d93d_c1d6),
    (TensorType::F16, 0x31c0_0bd8_2814_0091),
    (TensorType::Q4_0, 0xb979_c5a2_52c0_9e5d),
    (TensorType::Q4_1, 0x7fc9_e6c1_69ff_7b2d),
    (TensorType::Q5_0, 0x8ca5_4d18_7f2d_d8d5),
    (TensorType::Q8_0, 0x0c55_905c_e8b8_c029),
    (TensorType::Q4K, 0x3fda_04f9_2424_a412),
    (TensorType::Q5K, 0x6daf_d07f_a0dd_c227),
    (TensorType::Q6K, 0xd9dc_5d10_eced_2571),
];

/// FNV-1a over the bytes of each word.
fn hash(words: &[u32]) -> u64 {
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[test]
fn the_bits_of_every_type_are_those_of_this_revision() {
    assert_eq!((ARITHMETIC_REVISION, NUMERICS_CLASS), (1, "cpu-1"));
    for kernels in KernelSet::available() {
        let found = GOLDEN.map(|(kind, _)| {
            let recipe = Recipe {
                window: Some(50),
                linear_scaling: Some(1.5),
                frequency_factors: true,
                ..Recipe::of(kind)
            };
            let file = recipe.file();
            let options = CpuOptions { kernels, threads: 2, ..options() };
            let range = helixflow_model::LayerRange { first: 0, end: recipe.layers as u32 };
            let logits = in_chunks(&mut [load(&file, range, &options)], &tokens(70), 70);
            assert!(logits.iter().all(|logit| logit.is_finite()));
            (kind, hash(&bits(&logits)))
        });
        assert_eq!(found, GOLDEN, "{kernels} gives other bits: {found:#018x?}");
    }
}
