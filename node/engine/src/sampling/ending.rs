//! When a choice is over, by token and by count. Stop strings are the text layer's.

use helixflow_model::{Sampling, TokenId};

/// How one choice can end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    eos: Vec<TokenId>,
    min_tokens: usize,
    max_tokens: usize,
}

impl Ending {
    /// For a prompt of `prompt` tokens and a model that holds `context`.
    ///
    /// `eos` are the model's end-of-sequence tokens; they mean nothing if the request ignores them.
    pub fn new(sampling: &Sampling, eos: &[TokenId], prompt: usize, context: usize) -> Self {
        Self {
            eos: if sampling.ignore_eos { Vec::new() } else { eos.to_vec() },
            min_tokens: sampling.min_tokens as usize,
            max_tokens: (sampling.max_tokens as usize).min(context.saturating_sub(prompt)),
        }
    }

    /// Most tokens that the choice can have: `max_tokens`, or what the context leaves.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Tokens that may not be chosen when `generated` are there: ends that come too early.
    pub fn masked(&self, generated: usize) -> &[TokenId] {
        if generated < self.min_tokens { &self.eos } else { &[] }
    }

    /// Whether the model says with this token that it is done.
    pub fn is_end(&self, token: TokenId) -> bool {
        self.eos.contains(&token)
    }

    /// Whether no further token fits.
    pub fn is_full(&self, generated: usize) -> bool {
        generated >= self.max_tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EOS: [TokenId; 1] = [TokenId(2)];

    #[test]
    fn the_end_is_masked_until_enough_tokens_are_there() {
        let sampling = Sampling { min_tokens: 3, ..Sampling::default() };
        let ending = Ending::new(&sampling, &EOS, 10, 100);
        assert_eq!((ending.masked(2), ending.masked(3)), (&EOS[..], &[][..]));
    }

    #[test]
    fn an_ignored_end_is_an_ordinary_token() {
        let sampling = Sampling { ignore_eos: true, min_tokens: 3, ..Sampling::default() };
        let ending = Ending::new(&sampling, &EOS, 10, 100);
        assert!(!ending.is_end(EOS[0]));
        assert!(ending.masked(0).is_empty());
    }

    #[test]
    fn the_smaller_of_budget_and_context_is_the_limit() {
        let sampling = Sampling { max_tokens: 20, ..Sampling::default() };
        assert_eq!(Ending::new(&sampling, &EOS, 10, 100).max_tokens(), 20);
        let tight = Ending::new(&sampling, &EOS, 95, 100);
        assert_eq!(tight.max_tokens(), 5);
        assert!(!tight.is_full(4));
        assert!(tight.is_full(5));
    }
}
