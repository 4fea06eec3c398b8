//! One token from one row of logits.

use std::collections::BTreeSet;

use helixflow_model::{Sampling, TokenId};

use super::argmax::argmax;
use super::candidates::Candidates;
use super::logprobs::Logprobs;
use super::philox::Draw;

/// What the choice of a token depends on, besides the logits.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The request's parameters, valid.
    pub sampling: &'a Sampling,
    /// Distinct tokens of prompt and generated text; looked at only under a repetition penalty.
    pub seen: &'a BTreeSet<TokenId>,
    /// Tokens that may not be chosen now.
    pub masked: &'a [TokenId],
    /// Which random number to use.
    pub draw: Draw,
}

/// A chosen token.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The token.
    pub token: TokenId,
    /// Its log-probability and its rivals', where the request asks for them.
    pub logprobs: Option<Logprobs>,
}

/// No token can be chosen: no logit that is allowed is a finite number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the model gave no finite logit; check the model's file, then load it again")]
pub struct NoCandidate;

/// Chooses tokens; holds nothing but buffers.
#[derive(Debug, Default)]
pub struct Sampler {
    adjusted: Vec<f32>,
    candidates: Candidates,
}

impl Sampler {
    /// Chooses the next token from the logits of a row, one for each token of the vocabulary.
    pub fn choose(&mut self, logits: &[f32], rules: &Rules<'_>) -> Result<Chosen, NoCandidate> {
        let sampling = rules.sampling;
        let penalized = sampling.repetition_penalty != 1.0;
        let adjusted = if penalized || !rules.masked.is_empty() {
            adjust(&mut self.adjusted, logits, rules);
            &self.adjusted
        } else {
            logits
        };
        let best = argmax(adjusted).ok_or(NoCandidate)?;
        let largest = adjusted.get(best.0 as usize).copied().ok_or(NoCandidate)?;
        let token = if sampling.temperature > 0.0 {
            let uniform = rules.draw.uniform();
            TokenId(self.candidates.draw(adjusted, largest, sampling, uniform).ok_or(NoCandidate)?)
        } else {
            best
        };
        let logprobs = sampling.logprobs.map(|count| Logprobs::new(logits, token, count as usize));
        Ok(Chosen { token, logprobs })
    }
}

/// The logits under repetition penalty and mask.
///
/// Penalty as in Keskar et al., "CTRL", 2019, section 4.1, in the form of the field's servers: positive logits are
/// divided, the others multiplied, once for a token however often it was seen.
fn adjust(adjusted: &mut Vec<f32>, logits: &[f32], rules: &Rules<'_>) {
    adjusted.clear();
    adjusted.extend_from_slice(logits);
    let penalty = rules.sampling.repetition_penalty;
    if penalty != 1.0 {
        for token in rules.seen {
            if let Some(logit) = adjusted.get_mut(token.0 as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
    }
    for token in rules.masked {
        if let Some(logit) = adjusted.get_mut(token.0 as usize) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAW: Draw = Draw { seed: 1, choice: 0, index: 0 };

    fn choose(logits: &[f32], sampling: &Sampling, seen: &[u32], masked: &[TokenId]) -> Option<u32> {
        let seen = seen.iter().copied().map(TokenId).collect();
        let rules = Rules { sampling, seen: &seen, masked, draw: DRAW };
        Sampler::default().choose(logits, &rules).ok().map(|chosen| chosen.token.0)
    }

    #[test]
    fn greedy_takes_the_likeliest_and_of_equals_the_first() {
        assert_eq!(choose(&[0.0, 4.0, 4.0, 1.0], &Sampling::default(), &[], &[]), Some(1));
    }

    #[test]
    fn the_penalty_divides_positive_and_multiplies_other_logits() {
        let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
        assert_eq!(choose(&[3.0, 2.0], &sampling, &[0, 0], &[]), Some(1), "3 / 2 is less than 2");
        assert_eq!(choose(&[-1.0, -1.5], &sampling, &[0], &[]), Some(1), "-1 * 2 is less than -1.5");
        assert_eq!(choose(&[3.0, 2.0], &sampling, &[0, 1], &[]), Some(0));
        assert_eq!(choose(&[3.0, 2.0], &sampling, &[7], &[]), Some(0), "an unknown token changes nothing");
    }

    #[test]
    fn a_masked_token_is_never_chosen() {
        let masked = [TokenId(1)];
        assert_eq!(choose(&[0.0, 4.0, 1.0], &Sampling::default(), &[], &masked), Some(2));
        let hot = Sampling { temperature: 100.0, ..Sampling::default() };
        assert_eq!(choose(&[f32::NAN, 4.0], &hot, &[], &masked), None);
    }

    #[test]
    fn logprobs_are_those_of_the_model() {
        let sampling =
            Sampling { repetition_penalty: 2.0, logprobs: Some(1), temperature: 5.0, ..Sampling::default() };
        let seen = BTreeSet::from([TokenId(0)]);
        let rules = Rules { sampling: &sampling, seen: &seen, masked: &[], draw: DRAW };
        let chosen = Sampler::default().choose(&[1.0, 1.0], &rules).expect("both are finite");
        let half = 0.5_f32.ln();
        assert_eq!(chosen.logprobs, Some(Logprobs { chosen: half, top: vec![(TokenId(0), half)] }));
    }

    /// Other tokens here mean that a stream cannot go on between this build and the last: raise the arithmetic
    /// revision.
    #[test]
    fn golden_choices() {
        let logits: Vec<f32> =
            (0..1000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1_048_576.0 - 8.0).collect();
        let sampling = Sampling {
            temperature: 0.8,
            top_k: 200,
            top_p: 0.9,
            min_p: 0.001,
            repetition_penalty: 1.1,
            logprobs: Some(0),
            ..Sampling::default()
        };
        let seen = BTreeSet::from([TokenId(0), TokenId(8)]);
        let mut sampler = Sampler::default();
        let golden: Vec<(u32, u32)> = (0..6)
            .map(|index| {
                let rules =
                    Rules { sampling: &sampling, seen: &seen, masked: &[], draw: Draw { index, ..DRAW } };
                let chosen = sampler.choose(&logits, &rules).expect("all are finite");
                (chosen.token.0, chosen.logprobs.map_or(0, |logprobs| logprobs.chosen.to_bits()))
            })
            .collect();
        let expected = [
            (783, 0xc0ac_fad6),
            (872, 0xc0aa_683a),
            (597, 0xc095_97ac),
            (377, 0xc084_f0d4),
            (419, 0xc09a_bce6),
            (720, 0xc08c_48bc),
        ];
        assert_eq!(golden, expected);
    }
}
