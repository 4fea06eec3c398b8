//! What each stream must be, computed one token at a time from the definitions.

use std::collections::BTreeSet;

use helixflow_engine::sampling::{Chosen, Draw, Ending, Rules, Sampler};
use helixflow_engine::schedule::Request;
use helixflow_model::{FinishReason, TokenId};

use crate::toy::{CONTEXT, logits_after};

/// One choice from its first token to its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stream {
    pub(crate) tokens: Vec<Chosen>,
    pub(crate) finish: FinishReason,
}

impl Stream {
    pub(crate) fn ids(&self) -> Vec<TokenId> {
        self.tokens.iter().map(|chosen| chosen.token).collect()
    }
}

/// Every choice of a new request; `stop_after` is the length at which the text layer would see a stop string.
pub(crate) fn streams(request: &Request, stop_after: Option<usize>) -> Vec<Stream> {
    (0..request.sampling.choices).map(|choice| stream(request, choice, stop_after)).collect()
}

fn stream(request: &Request, choice: u32, stop_after: Option<usize>) -> Stream {
    let ending = Ending::new(&request.sampling, &request.eos, request.prompt.len(), CONTEXT);
    let mut all = request.prompt.clone();
    let mut tokens: Vec<Chosen> = Vec::new();
    loop {
        let seen: BTreeSet<TokenId> = all.iter().copied().collect();
        let rules = Rules {
            sampling: &request.sampling,
            seen: &seen,
            masked: ending.masked(tokens.len()),
            draw: Draw { seed: request.seed, choice, index: tokens.len() as u32 },
        };
        let chosen = Sampler::default().choose(&logits_after(&all), &rules).expect("the toy's logits");
        if ending.is_end(chosen.token) {
            return Stream { tokens, finish: FinishReason::EndOfSequence };
        }
        all.push(chosen.token);
        tokens.push(chosen);
        if Some(tokens.len()) == stop_after {
            return Stream { tokens, finish: FinishReason::Stop };
        }
        if ending.is_full(tokens.len()) {
            return Stream { tokens, finish: FinishReason::Length };
        }
    }
}
