//! A request, and the door at which one that can never run is refused.

use helixflow_model::{InvalidSampling, Sampling, TokenId};

use crate::compute::{Limits, PAGE_POSITIONS, Shape};
use crate::kv::CacheSalt;
use crate::sampling::Ending;

/// Numbers the requests of one engine in the order of their arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestNumber(pub u64);

/// A prompt to be continued.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The prompt, at least one token.
    pub prompt: Vec<TokenId>,
    /// What an earlier stream of the same request has generated, for each choice; empty for a new request. The
    /// answer goes on as if that stream had never broken off.
    pub generated: Vec<Vec<TokenId>>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Same seed, same tokens.
    pub seed: u64,
    /// The model's end-of-sequence tokens.
    pub eos: Vec<TokenId>,
    /// Under which salt the prompt's keys may be found and kept.
    pub salt: CacheSalt,
    /// Higher goes first.
    pub priority: u8,
}

/// Why a request can never run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token at all.
    #[error("the prompt is empty; give at least one token")]
    EmptyPrompt,
    /// No room for an answer.
    #[error("a prompt of {prompt} tokens leaves no room in a context of {context}; shorten it")]
    PromptTooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// What the model holds.
        context: usize,
    },
    /// Not a token of this model.
    #[error("token {token} is not in the vocabulary of {vocabulary}; tokenize for this model")]
    UnknownToken {
        /// The token.
        token: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// A continuation of another number of choices.
    #[error("{given} choices to continue, but the request is for {choices}; give one for each, or none")]
    WrongContinuation {
        /// Choices that are to go on.
        given: usize,
        /// Choices asked for.
        choices: u32,
    },
    /// More KV memory than there is.
    #[error("prompt and answer need {needed} KV pages of {total} in all; ask for fewer tokens")]
    NeverFits {
        /// Pages for one choice.
        needed: usize,
        /// Pages of the engine.
        total: usize,
    },
    /// A bad parameter.
    #[error(transparent)]
    Sampling(#[from] InvalidSampling),
}

/// What a request must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Longest sequence, in tokens.
    pub context: usize,
    /// Number of tokens in the vocabulary.
    pub vocabulary: usize,
    /// KV pages in all.
    pub pages: usize,
}

impl Bounds {
    /// Those of a model and the memory it was given.
    pub fn new(shape: &Shape, limits: Limits) -> Self {
        Self { context: shape.context, vocabulary: shape.vocabulary, pages: limits.pages }
    }

    /// Refuses what can never run.
    pub fn check(&self, request: &Request) -> Result<(), Refusal> {
        request.sampling.validate()?;
        let (prompt, context) = (request.prompt.len(), self.context);
        if prompt == 0 {
            return Err(Refusal::EmptyPrompt);
        }
        if prompt >= context {
            return Err(Refusal::PromptTooLong { prompt, context });
        }
        let choices = request.sampling.choices;
        let given = request.generated.len();
        if given != 0 && given != choices as usize {
            return Err(Refusal::WrongContinuation { given, choices });
        }
        let unknown = |token: &&TokenId| token.0 as usize >= self.vocabulary;
        if let Some(token) = request.prompt.iter().chain(request.generated.iter().flatten()).find(unknown) {
            return Err(Refusal::UnknownToken { token: token.0, vocabulary: self.vocabulary });
        }
        let ending = Ending::new(&request.sampling, &request.eos, prompt, context);
        let needed = positions(prompt, &ending).div_ceil(PAGE_POSITIONS);
        if needed > self.pages {
            return Err(Refusal::NeverFits { needed, total: self.pages });
        }
        Ok(())
    }
}

/// Most positions that one choice ever writes: its last token is never computed.
pub(super) fn positions(prompt: usize, ending: &Ending) -> usize {
    prompt + ending.max_tokens().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { context: 1024, vocabulary: 100, pages: 4 };

    fn request(prompt: usize, max_tokens: u32) -> Request {
        Request {
            prompt: vec![TokenId(1); prompt],
            generated: Vec::new(),
            sampling: Sampling { max_tokens, ..Sampling::default() },
            seed: 0,
            eos: Vec::new(),
            salt: CacheSalt::default(),
            priority: 0,
        }
    }

    #[test]
    fn what_can_run_is_let_in() {
        assert_eq!(BOUNDS.check(&request(1, 1)), Ok(()));
        assert_eq!(BOUNDS.check(&request(200, 57)), Ok(()), "256 positions: the last token needs none");
    }

    #[test]
    fn what_can_never_run_is_refused_with_the_reason() {
        let base = || request(10, 10);
        let with = |sampling: Sampling| Request { sampling, ..base() };
        let cases = [
            (request(0, 1), Refusal::EmptyPrompt),
            (request(1024, 1), Refusal::PromptTooLong { prompt: 1024, context: 1024 }),
            (request(200, 58), Refusal::NeverFits { needed: 5, total: 4 }),
            (
                Request { prompt: vec![TokenId(100)], ..base() },
                Refusal::UnknownToken { token: 100, vocabulary: 100 },
            ),
            (
                Request { generated: vec![vec![TokenId(u32::MAX)]], ..base() },
                Refusal::UnknownToken { token: u32::MAX, vocabulary: 100 },
            ),
            (
                Request { generated: vec![Vec::new(); 2], ..base() },
                Refusal::WrongContinuation { given: 2, choices: 1 },
            ),
        ];
        for (request, refusal) in cases {
            assert_eq!(BOUNDS.check(&request), Err(refusal));
        }
        let nan = with(Sampling { temperature: f32::NAN, ..Sampling::default() });
        assert!(matches!(BOUNDS.check(&nan), Err(Refusal::Sampling(e)) if e.field == "temperature"));
    }
}
