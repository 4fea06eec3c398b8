//! The same bits however a sequence is computed: whole, in chunks, in company, on any threads, kernels and stages.

use helixflow_engine::KernelSet;
use helixflow_engine::compute::cpu::CpuOptions;
use helixflow_engine::gguf::TensorType;
use helixflow_model::LayerRange;

use crate::run::{bits, in_chunks, in_company, last_of_prompt, load, options, tokens};
use crate::synthetic::Recipe;

/// Longer than a page, and no multiple of any block.
const LENGTH: usize = 75;

/// The stages that begin at `starts`.
fn ranges(starts: &[u32], layers: u32) -> Vec<LayerRange> {
    let ends = starts.iter().skip(1).copied().chain([layers]);
    starts.iter().zip(ends).map(|(&first, end)| LayerRange { first, end }).collect()
}

/// Computes the recipe's model in many ways and expects one result.
fn one_result_however_computed(recipe: &Recipe) {
    let file = recipe.file();
    let tokens = tokens(LENGTH);
    let layers = recipe.layers as u32;
    let stages = |kernels, threads, starts: &[u32]| -> Vec<_> {
        let options = CpuOptions { kernels, threads, ..options() };
        ranges(starts, layers).into_iter().map(|range| load(&file, range, &options)).collect()
    };
    let expected = bits(&in_chunks(&mut stages(KernelSet::Scalar, 1, &[0]), &tokens, LENGTH));
    assert_eq!(expected.len(), LENGTH * recipe.vocabulary);
    for kernels in KernelSet::available() {
        // The scalar kernels are slow: they show every way of computing once, the others every combination.
        let scalar = kernels == KernelSet::Scalar;
        let teams = [(3, &[0, 1][..]), (1, &[0]), (2, &[0]), (2, &[0, 1, 2])];
        for (threads, starts) in teams.into_iter().take(if scalar { 1 } else { teams.len() }) {
            let mut stages = stages(kernels, threads, starts);
            let way = format!("{:?} {kernels} threads {threads} stages {starts:?}", recipe.kind);
            for chunk in [16, 1, 3, LENGTH].into_iter().take(if scalar { 1 } else { 4 }) {
                let got = in_chunks(&mut stages, &tokens, chunk);
                assert!(bits(&got) == expected, "{way} in chunks of {chunk} gives other bits");
            }
            let got = last_of_prompt(&mut stages, &tokens, 16);
            let last = &expected[expected.len() - recipe.vocabulary..];
            assert!(bits(&got) == last, "{way} as a prompt gives other bits");
            let got = in_company(&mut stages, &tokens, recipe.vocabulary);
            assert!(bits(&got) == expected, "{way} in company gives other bits");
        }
    }
}

macro_rules! exact {
    ($($name:ident: $kind:ident;)*) => {
        $(#[test]
        fn $name() {
            one_result_however_computed(&Recipe::of(TensorType::$kind));
        })*
    };
}

exact! {
    f32_models_give_one_result: F32;
    f16_models_give_one_result: F16;
    q4_0_models_give_one_result: Q4_0;
    q4_1_models_give_one_result: Q4_1;
    q5_0_models_give_one_result: Q5_0;
    q8_0_models_give_one_result: Q8_0;
    q4_k_models_give_one_result: Q4K;
    q5_k_models_give_one_result: Q5K;
    q6_k_models_give_one_result: Q6K;
}

#[test]
fn a_model_of_odd_dimensions_with_a_window_gives_one_result() {
    one_result_however_computed(&Recipe {
        width: 96,
        inner: 160,
        heads: 12,
        kv_heads: 1,
        head_size: 24,
        window: Some(40),
        linear_scaling: Some(2.0),
        untied: true,
        ..Recipe::of(TensorType::Q4_0)
    });
}

#[test]
fn a_model_with_a_key_head_for_each_query_head_gives_one_result() {
    one_result_however_computed(&Recipe {
        width: 64,
        heads: 4,
        kv_heads: 4,
        head_size: 72,
        frequency_factors: true,
        ..Recipe::of(TensorType::Q8_0)
    });
}
