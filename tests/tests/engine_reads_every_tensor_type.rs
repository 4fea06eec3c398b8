//! Every tensor type and every way of turning heads that the engine computes, on small synthetic models: llama.cpp
//! reads the same file and gives the same logits, within what rounding explains, and so does the plain reference.
//!
//! llama.cpp rounds activations to bytes as the engine does, but in blocks of 256 for the K types; for F16 it rounds
//! them to 16 bits, for F32 not at all. So the bounds are for different roundings; a number in the wrong place is off by
//! more than any of them. Each way of turning is shown to matter by far more than its bound.

use std::path::PathBuf;

use anyhow::{Context, Result};
use helixflow_engine::KernelSet;
use helixflow_engine::compute::cpu::CpuOptions;
use helixflow_engine::gguf::{GgufFile, TensorType};
use helixflow_model::TokenId;
use helixflow_tests::agreement::relative_difference;
use helixflow_tests::llamacpp::{self, Job};
use helixflow_tests::reference::{self, Plain};
use helixflow_tests::rows::Rows;
use helixflow_tests::synthetic::{Synthetic, Turning, VOCABULARY};
use helixflow_tests::teacher_forced;

/// Positions of the sequence: over two KV pages.
const POSITIONS: u32 = 150;
/// Root mean square of the differences, in proportion to the logits, where activations are rounded to bytes in blocks
/// of 32.
const ROUNDED: f64 = 0.06;
/// The same where llama.cpp has blocks of 256.
const ROUNDED_TOGETHER: f64 = 0.1;
/// The same for F32 and F16 weights: 16-bit keys and values are left.
const UNROUNDED: f64 = 0.005;
/// A way of turning that went wrong would be off by this much at least.
const MATTERS: f64 = 0.2;

fn models() -> Vec<Synthetic> {
    let of = |kind| Synthetic { kind, turning: Turning::Plain, tied: false };
    let turned = |turning| Synthetic { turning, ..of(TensorType::F16) };
    let mut models = TensorType::ALL.map(of).to_vec();
    models.extend([Turning::Base(500_000.0), Turning::Linear(4.0), Turning::Factors].map(turned));
    models.push(Synthetic { tied: true, ..of(TensorType::Q6K) });
    models
}

fn tokens() -> Vec<TokenId> {
    (0..POSITIONS).map(|position| TokenId((position * position + 7 * position) % VOCABULARY)).collect()
}

/// How far the engine may be from llama.cpp, and from plain floats.
fn bounds(kind: TensorType) -> (f64, f64) {
    match kind.block_elements() {
        1 => (UNROUNDED, UNROUNDED),
        32 => (ROUNDED, ROUNDED),
        _ => (ROUNDED_TOGETHER, ROUNDED),
    }
}

#[expect(clippy::disallowed_methods, reason = "llama.cpp reads the models from real files")]
fn written(folder: &tempfile::TempDir, models: &[Synthetic]) -> Result<Vec<PathBuf>> {
    let write = |(number, model): (usize, &Synthetic)| {
        let path = folder.path().join(format!("{number}.gguf"));
        std::fs::write(&path, model.to_gguf()).map(|()| path)
    };
    Ok(models.iter().enumerate().map(write).collect::<std::io::Result<_>>()?)
}

fn llamacpp_logits(paths: &[PathBuf], tokens: &[TokenId]) -> Result<Vec<Rows>> {
    let job = |model| Job { model, sequences: vec![tokens], logits: true };
    let jobs: Vec<_> = paths.iter().map(|path| job(path.as_path())).collect();
    let rows = |predictions: llamacpp::Predictions| {
        let logits = predictions.logits.context("logits were asked for")?.remove(0);
        Ok(Rows::new(VOCABULARY as usize, logits.into_iter().flatten().collect()))
    };
    llamacpp::predict(&jobs)?.into_iter().map(rows).collect()
}

fn ours(model: Synthetic, kernels: KernelSet, tokens: &[TokenId]) -> Result<Rows> {
    let file = GgufFile::from_bytes(model.to_gguf())?;
    teacher_forced::logits(&file, &CpuOptions { kernels, ..CpuOptions::default() }, tokens)
}

#[test]
fn llamacpp_and_the_reference_read_the_same_in_every_type_and_turning() -> Result<()> {
    let (models, tokens) = (models(), tokens());
    let folder = tempfile::tempdir()?;
    let theirs = llamacpp_logits(&written(&folder, &models)?, &tokens)?;
    let mut failures = Vec::new();
    for (model, theirs) in models.iter().zip(theirs) {
        let ours = ours(*model, KernelSet::best(), &tokens)?;
        let plain = reference::logits(&GgufFile::from_bytes(model.to_gguf())?, &tokens, &Plain)?;
        let (from_theirs, from_plain) =
            (relative_difference(&ours, &theirs), relative_difference(&ours, &plain));
        println!("{model:?}: from llama.cpp {from_theirs:.5}, from plain floats {from_plain:.5}");
        let (to_theirs, to_plain) = bounds(model.kind);
        if !(from_theirs <= to_theirs && from_plain <= to_plain) {
            failures.push(model);
        }
    }
    assert!(failures.is_empty(), "beyond their bounds: {failures:?}");
    Ok(())
}

#[test]
fn each_way_of_turning_matters() -> Result<()> {
    let logits = |turning| {
        ours(Synthetic { kind: TensorType::F16, turning, tied: false }, KernelSet::best(), &tokens())
    };
    let plain = logits(Turning::Plain)?;
    for turning in [Turning::Base(500_000.0), Turning::Linear(4.0), Turning::Factors] {
        let difference = relative_difference(&logits(turning)?, &plain);
        assert!(difference >= MATTERS, "{turning:?} changes logits by {difference:.3} of their size only");
    }
    Ok(())
}

#[test]
fn every_kernel_set_gives_the_same_bits_in_every_type() -> Result<()> {
    let tokens = tokens();
    for kind in TensorType::ALL {
        let model = Synthetic { kind, turning: Turning::Factors, tied: true };
        let scalar = ours(model, KernelSet::Scalar, &tokens[..40])?;
        for set in KernelSet::available() {
            assert_eq!(ours(model, set, &tokens[..40])?, scalar, "{kind} with {set} kernels");
        }
    }
    Ok(())
}
