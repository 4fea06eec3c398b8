//! The engine computes what a plain reference computes that rounds and adds by the same rules, one number after the
//! other: teacher-forced on the default model and the texts of `data/texts`, every logit is the same to the bit.
//!
//! `make verify-engine` takes the texts in full.

use anyhow::Result;
use helixflow_engine::KernelSet;
use helixflow_engine::compute::cpu::CpuOptions;
use helixflow_engine::gguf::GgufFile;
use helixflow_tests::agreement::{largest_difference, same_predictions};
use helixflow_tests::default_model::{self, Text};
use helixflow_tests::reference::{self, AsEngine};
use helixflow_tests::teacher_forced;
use helixflow_text::Tokenizer;

/// Fewest positions over all texts.
const POSITIONS: usize = 200;
/// Least share of positions at which both predict the same token, of each text. Below it, the predictions are wrong.
const AGREEMENT: f64 = 0.99;
/// Largest difference between two logits: none. Above it with the predictions still the same, the order of some sum has
/// changed: if that was meant, `reference::AsEngine` and the engine's arithmetic revision change with it.
const DIFFERENCE: f32 = 0.0;

/// The share of equal predictions, and the largest difference between logits.
fn compare(file: &GgufFile, text: &Text) -> Result<(f64, f32)> {
    let ours = teacher_forced::logits(file, &CpuOptions::default(), &text.tokens)?;
    let plain = reference::logits(file, &text.tokens, &AsEngine)?;
    Ok((same_predictions(&ours, &plain), largest_difference(&ours, &plain)))
}

#[test]
fn every_logit_is_the_same() -> Result<()> {
    let file = default_model::open()?;
    let texts = default_model::texts(&Tokenizer::new(&default_model::vocabulary(file.metadata())?)?)?;
    let positions: usize = texts.iter().map(|text| text.tokens.len()).sum();
    assert!(positions >= POSITIONS, "only {positions} positions");
    let outcomes = std::thread::scope(|scope| {
        let threads: Vec<_> = texts.iter().map(|text| scope.spawn(|| compare(&file, text))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    println!("{} kernels, {positions} positions", KernelSet::best());
    for (text, (agreement, difference)) in texts.iter().zip(outcomes) {
        let (name, positions) = (&text.name, text.tokens.len());
        println!(
            "{name:8} {positions:4} positions: agreement {agreement:.4}, largest difference {difference}"
        );
        assert!(agreement >= AGREEMENT, "{name}: only {agreement:.4} of the predictions are the same");
        assert!(difference <= DIFFERENCE, "{name}: logits differ by up to {difference}");
    }
    Ok(())
}
