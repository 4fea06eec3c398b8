//! One choice of a request on its way from token ids to messages.
//!
//! A message holds one token, unless the token's text must be held back: then it goes out with the tokens after it.

use std::sync::Arc;

use helixflow_engine::sampling::Logprobs;
use helixflow_model::{FinishReason, Sampling, TokenId};
use helixflow_proto::v1;
use helixflow_proto::v1::generate_response::Event;
use helixflow_text::{Detokenizer, Release, Tokenizer, UnknownToken};

/// The text and the unsent tokens of one choice.
pub(super) struct Choice {
    number: u32,
    text: Detokenizer,
    stop: Vec<String>,
    /// Index of the first unsent token.
    index: u32,
    unsent: Vec<u32>,
    logprobs: Vec<v1::TokenLogprobs>,
}

/// A token, and what is known of it.
pub(super) struct Token {
    pub(super) index: u32,
    pub(super) id: TokenId,
    pub(super) logprobs: Option<Logprobs>,
}

/// What a token brought.
pub(super) struct Grown {
    /// A message, unless the token's text is held back.
    pub(super) chunk: Option<v1::GenerateResponse>,
    /// Whether the token completed a stop string.
    pub(super) stopped: bool,
}

impl Choice {
    /// Choice `number`, of which an earlier stream has shown `generated`.
    pub(super) fn new(
        number: u32,
        tokenizer: &Arc<Tokenizer>,
        sampling: &Sampling,
        generated: &[TokenId],
    ) -> Result<Self, UnknownToken> {
        let mut text = Detokenizer::new(Arc::clone(tokenizer), &sampling.stop, sampling.min_tokens);
        text.replay(generated)?;
        Ok(Self {
            number,
            text,
            stop: sampling.stop.clone(),
            index: u32::try_from(generated.len()).unwrap_or(u32::MAX),
            unsent: Vec::new(),
            logprobs: Vec::new(),
        })
    }

    /// Takes the next token.
    pub(super) fn push(&mut self, token: Token) -> Result<Grown, UnknownToken> {
        // The earlier stream had come to a stop string; the engine, which knows no text, went on.
        if self.text.stopped().is_some() {
            return Ok(Grown { chunk: None, stopped: true });
        }
        let release = self.text.push(token.id)?;
        if self.unsent.is_empty() {
            self.index = token.index;
        }
        self.unsent.push(token.id.0);
        self.logprobs.extend(token.logprobs.map(|logprobs| wire(token.id, logprobs)));
        let stopped = release.stop.is_some();
        let is_due = !release.text.is_empty() || release.held_back == 0 || stopped;
        Ok(Grown { chunk: is_due.then(|| self.chunk(release)), stopped })
    }

    /// The messages that end the choice: what was held back, and why it ended.
    pub(super) fn finish(
        &mut self,
        reason: FinishReason,
    ) -> impl Iterator<Item = v1::GenerateResponse> + use<> {
        let release = self.text.finish();
        let has_rest = !release.text.is_empty() || !self.unsent.is_empty();
        let rest = has_rest.then(|| self.chunk(release));
        let stop = self.text.stopped().and_then(|place| self.stop.get(place).cloned());
        let reason = if stop.is_some() { FinishReason::Stop } else { reason };
        let end = v1::ChoiceEnd {
            choice: self.number,
            reason: v1::FinishReason::from(reason).into(),
            stop: stop.unwrap_or_default(),
        };
        rest.into_iter().chain([message(Event::ChoiceEnd(end))])
    }

    fn chunk(&mut self, release: Release) -> v1::GenerateResponse {
        message(Event::Chunk(v1::TokenChunk {
            choice: self.number,
            index: self.index,
            token_ids: std::mem::take(&mut self.unsent),
            text: release.text,
            text_offset: release.offset as u64,
            tag: Vec::new(),
            logprobs: std::mem::take(&mut self.logprobs),
        }))
    }
}

/// A message of one event.
pub(super) const fn message(event: Event) -> v1::GenerateResponse {
    v1::GenerateResponse { event: Some(event) }
}

fn wire(chosen: TokenId, logprobs: Logprobs) -> v1::TokenLogprobs {
    let one = |token: TokenId, logprob| v1::TokenLogprob { token_id: token.0, logprob };
    v1::TokenLogprobs {
        chosen: Some(one(chosen, logprobs.chosen)),
        alternatives: logprobs.top.into_iter().map(|(token, logprob)| one(token, logprob)).collect(),
    }
}
