//! Prompts drawn from a seed, each with all that fixes its answer: text, sampling and the sampling's own seed.

use helixflow_env::{Randomness, SeededRandom};
use helixflow_proto::v1::Sampling;

/// What somebody asks for, and about what.
const OPENINGS: [&str; 4] = ["A short story about", "Three facts about", "The history of", "How to draw"];
const SUBJECTS: [&str; 8] = [
    "a lighthouse",
    "the river Nile",
    "copper wire",
    "a clock without hands",
    "winter wheat",
    "the number seven",
    "an old library",
    "rain on Mars",
];
/// The temperature of every second prompt: above 0, so that the answer hangs on the seed.
const WARM: f32 = 0.8;

/// A request whose answer is the same whenever and wherever it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// The text to continue.
    pub text: String,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The seed of the choice.
    pub seed: u64,
}

/// `count` prompts of `tokens` tokens each, half of them greedy, the same for the same seed.
#[must_use]
pub fn prompts(seed: u64, count: usize, tokens: u32) -> Vec<Prompt> {
    let random = SeededRandom::new(seed);
    let prompt = |number: usize| {
        let temperature = if number.is_multiple_of(2) { 0.0 } else { WARM };
        Prompt {
            text: format!("{} {}:", pick(&OPENINGS, &random), pick(&SUBJECTS, &random)),
            sampling: Sampling {
                temperature: Some(temperature),
                max_tokens: Some(tokens),
                ignore_eos: true,
                ..Sampling::default()
            },
            seed: random.next_u64(),
        }
    };
    (0..count).map(prompt).collect()
}

fn pick<'a>(words: &[&'a str], random: &SeededRandom) -> &'a str {
    let index = random.next_u64() as usize % words.len().max(1);
    words.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_prompts_and_another_draws_others() {
        assert_eq!(prompts(7, 12, 32), prompts(7, 12, 32));
        assert_ne!(prompts(7, 12, 32), prompts(8, 12, 32));
    }

    #[test]
    fn half_of_the_prompts_hang_on_their_seed() {
        let warm = |prompt: &&Prompt| prompt.sampling.temperature == Some(WARM);
        assert_eq!(prompts(1, 10, 32).iter().filter(warm).count(), 5);
    }
}
