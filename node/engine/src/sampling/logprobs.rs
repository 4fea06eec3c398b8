//! Log-probabilities as the model gave them: before penalty, temperature and cuts.

use helixflow_model::TokenId;

use super::argmax::argmax;
use super::draw::total;
use super::exp::exp;
use super::rank::best;

/// How likely the model found a token, and what it would rather have said.
#[derive(Clone, Debug, PartialEq)]
pub struct Logprobs {
    /// Natural logarithm of the chosen token's probability.
    pub chosen: f32,
    /// The likeliest tokens with theirs, the likeliest first, of equals the lower id.
    pub top: Vec<(TokenId, f32)>,
}

impl Logprobs {
    /// Of `token`, and of the `alternatives` likeliest.
    pub(super) fn new(logits: &[f32], token: TokenId, alternatives: usize) -> Self {
        let largest = argmax(logits).and_then(|best| logits.get(best.0 as usize)).copied().unwrap_or(0.0);
        let mut weights = vec![0.0; logits.len()];
        for (weight, &logit) in weights.iter_mut().zip(logits) {
            *weight = if logit <= largest { exp(logit - largest) } else { 0.0 };
        }
        let log_sum = f64::from(largest) + libm::log(total(&weights));
        let logprob = |token: u32| {
            logits.get(token as usize).map_or(f32::NEG_INFINITY, |&logit| (f64::from(logit) - log_sum) as f32)
        };
        let mut ranks = Vec::new();
        best(&mut ranks, logits, alternatives);
        Self {
            chosen: logprob(token.0),
            top: ranks.iter().map(|rank| (TokenId(rank.token()), logprob(rank.token()))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_alternatives_come_in_order() {
        let logits = [0.0, 2.0, f32::NAN, 2.0, -1.0];
        let logprobs = Logprobs::new(&logits, TokenId(4), 4);
        let order: Vec<u32> = logprobs.top.iter().map(|(token, _)| token.0).collect();
        assert_eq!(order, [1, 3, 0, 4]);
        let sum: f32 = logprobs.top.iter().map(|(_, logprob)| logprob.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        assert_eq!(logprobs.chosen.to_bits(), logprobs.top[3].1.to_bits());
    }

    #[test]
    fn no_alternatives_are_given_where_none_are_asked() {
        assert_eq!(Logprobs::new(&[5.0], TokenId(0), 0), Logprobs { chosen: 0.0, top: Vec::new() });
    }
}
