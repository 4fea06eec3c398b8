//! The engine's small activations cost no quality: on the texts of `data/texts`, perplexity stays that of plain f32
//! activations, and the likeliest token is kept as often as llama.cpp keeps it, which rounds activations too.
//!
//! Every position at which the engine predicts another token than f32 is printed with f32's margin: misses stand where
//! two tokens are nearly equal. `make verify-engine` takes the texts in full.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports its figures, and stops at what fails"
)]

use anyhow::Result;
use helixflow_engine::compute::cpu::CpuOptions;
use helixflow_engine::gguf::GgufFile;
use helixflow_model::TokenId;
use helixflow_tests::agreement::{Prediction, perplexity, prediction, sign_test};
use helixflow_tests::default_model::{self, Text};
use helixflow_tests::llamacpp::{self, Job};
use helixflow_tests::reference::{self, Plain};
use helixflow_tests::{full_counts, model_file, teacher_forced};
use helixflow_text::Tokenizer;

/// Fewest positions of the comparison with llama.cpp.
const POSITIONS: usize = 600;
/// Largest deviation of perplexity as a share: of each text in full, and of all texts together.
const PERPLEXITY: f64 = 0.01;
/// Below this probability, being worse than llama.cpp is no accident.
const SIGNIFICANCE: f64 = 0.05;

/// The engine and f32 on one text.
struct Outcome {
    ours: Vec<Prediction>,
    exact: Vec<Prediction>,
    our_perplexity: f64,
    exact_perplexity: f64,
}

fn compare(file: &GgufFile, text: &Text) -> Result<Outcome> {
    let tokens: Vec<usize> = text.tokens.iter().map(|token| token.0 as usize).collect();
    let ours = teacher_forced::logits(file, &CpuOptions::default(), &text.tokens)?;
    let exact = reference::logits(file, &text.tokens, &Plain)?;
    Ok(Outcome {
        ours: ours.iter().map(prediction).collect(),
        exact: exact.iter().map(prediction).collect(),
        our_perplexity: perplexity(&ours, &tokens),
        exact_perplexity: perplexity(&exact, &tokens),
    })
}

fn compare_all(file: &GgufFile, texts: &[Text]) -> Result<Vec<Outcome>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = texts.iter().map(|text| scope.spawn(|| compare(file, text))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

/// Prints where the engine predicts another token than f32.
fn print_misses(tokenizer: &Tokenizer, text: &Text, outcome: &Outcome) -> Result<()> {
    let show = |token: usize| -> Result<String> {
        Ok(format!("{:?}", tokenizer.decode(&[TokenId(u32::try_from(token)?)])?))
    };
    for (position, (ours, exact)) in outcome.ours.iter().zip(&outcome.exact).enumerate() {
        if ours.token != exact.token {
            let (name, margin) = (&text.name, exact.margin);
            let (ours, exact) = (show(ours.token)?, show(exact.token)?);
            println!("  miss at {name} {position}: {ours} for {exact}, which leads by {margin:.3}");
        }
    }
    Ok(())
}

/// Sums over the texts.
#[derive(Default)]
struct Tally {
    positions: usize,
    /// Positions at which the engine predicts f32's token and llama.cpp another, and the reverse.
    better: u32,
    worse: u32,
    /// Natural logarithm of the perplexities' ratio, times positions.
    surprise: f64,
    largest_deviation: f64,
}

impl Tally {
    fn add(&mut self, name: &str, outcome: &Outcome, theirs: &[usize]) {
        let Outcome { ours, exact, our_perplexity, exact_perplexity } = outcome;
        let deviation = our_perplexity / exact_perplexity - 1.0;
        let (mut we_agree, mut they_agree) = (0, 0);
        for ((ours, theirs), exact) in ours.iter().zip(theirs).zip(exact) {
            let (us, them) = (ours.token == exact.token, *theirs == exact.token);
            we_agree += u32::from(us);
            they_agree += u32::from(them);
            self.better += u32::from(us && !them);
            self.worse += u32::from(them && !us);
        }
        println!(
            "{name:8} {} positions: perplexity {our_perplexity:.4}, f32 {exact_perplexity:.4} ({:+.2} %); \
             as f32 predicts: ours {we_agree}, llama.cpp {they_agree}",
            exact.len(),
            100.0 * deviation,
        );
        self.positions += exact.len();
        self.surprise += exact.len() as f64 * (our_perplexity / exact_perplexity).ln();
        self.largest_deviation = self.largest_deviation.max(deviation.abs());
    }

    /// The deviation of the perplexity of all texts together.
    fn deviation(&self) -> f64 {
        (self.surprise / self.positions as f64).exp() - 1.0
    }
}

#[test]
fn perplexity_and_predictions_are_those_of_f32_as_far_as_llamacpp_keeps_them() -> Result<()> {
    let (file, path) = (default_model::open()?, model_file()?);
    let tokenizer = Tokenizer::new(&default_model::vocabulary(file.metadata())?)?;
    let texts = default_model::texts(&tokenizer)?;
    let sequences = texts.iter().map(|text| text.tokens.as_slice()).collect();
    let theirs = llamacpp::predict(&[Job { model: &path, sequences, logits: false }])?.remove(0).top1;
    let mut tally = Tally::default();
    for ((text, outcome), theirs) in texts.iter().zip(compare_all(&file, &texts)?).zip(theirs) {
        tally.add(&text.name, &outcome, &theirs);
        print_misses(&tokenizer, text, &outcome)?;
    }
    let (deviation, chance) = (tally.deviation(), sign_test(tally.better, tally.worse));
    let Tally { positions, better, worse, largest_deviation, .. } = tally;
    println!("all {positions} positions: perplexity deviates by {:+.2} %", 100.0 * deviation);
    println!("against llama.cpp: better at {better}, worse at {worse}, p = {chance:.3}");
    assert!(positions >= POSITIONS, "only {positions} positions");
    assert!(deviation.abs() <= PERPLEXITY, "perplexity deviates by {deviation:+.4}");
    // On the samples of single texts one standard error is more than half a percent.
    assert!(largest_deviation <= PERPLEXITY || !full_counts(), "a text deviates by {largest_deviation:.4}");
    assert!(chance > SIGNIFICANCE, "worse than llama.cpp at {worse}, better at {better}: p = {chance:.4}");
    Ok(())
}
