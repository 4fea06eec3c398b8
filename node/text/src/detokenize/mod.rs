//! Ids to text, one at a time, for one choice of one request.
//!
//! Three rules hold for every split of the same bytes into tokens: no part of a character is shown, nothing is shown
//! that could still turn out to be the beginning of a stop string, and the text ends before the stop string that is
//! complete first. All released texts together are the whole decoding, up to that stop string. Control tokens have
//! no text, but count as tokens.

mod stop;
mod utf8;

use std::sync::Arc;

use helixflow_model::TokenId;

use crate::pieces::UnknownToken;
use crate::tokenizer::Tokenizer;
use stop::StopStrings;
use utf8::Utf8Decoder;

/// What one token brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// Text that can be shown now; often empty.
    pub text: String,
    /// Where this text begins in the whole text of the choice, in bytes.
    pub offset: usize,
    /// Bytes that are known but still held back: a part of a character, or of what may become a stop string.
    pub held_back: usize,
    /// The stop string that ended the choice, by its place in the request. No text follows.
    pub stop: Option<usize>,
}

/// Turns one choice's ids into text. A continuation makes a new one and [replays](Self::replay) the earlier ids.
pub struct Detokenizer {
    tokenizer: Arc<Tokenizer>,
    decoder: Utf8Decoder,
    stops: StopStrings,
    min_tokens: u32,
    tokens: u32,
    pending: String,
    released: usize,
    /// Stop strings that end at or before this byte came too early to count.
    protected: usize,
    stopped: Option<usize>,
}

impl Detokenizer {
    /// `stop` are the strings that end the choice (empty ones end nothing); one that is complete before `min_tokens`
    /// tokens does not count.
    pub fn new(tokenizer: Arc<Tokenizer>, stop: &[String], min_tokens: u32) -> Self {
        Self {
            tokenizer,
            decoder: Utf8Decoder::default(),
            stops: StopStrings::new(stop),
            min_tokens,
            tokens: 0,
            pending: String::new(),
            released: 0,
            protected: 0,
            stopped: None,
        }
    }

    /// Takes the next token. After a stop string nothing more is released.
    pub fn push(&mut self, id: TokenId) -> Result<Release, UnknownToken> {
        let piece = self.tokenizer.piece(id)?;
        if self.stopped.is_none() {
            self.decoder.push(piece, &mut self.pending);
            self.tokens = self.tokens.saturating_add(1);
            if self.tokens < self.min_tokens {
                self.protected = self.released + self.pending.len();
            }
        }
        Ok(self.release(false))
    }

    /// Takes the ids that an earlier stream of the same choice has already shown, and releases nothing.
    pub fn replay(&mut self, ids: &[TokenId]) -> Result<(), UnknownToken> {
        for id in ids {
            self.push(*id)?;
        }
        Ok(())
    }

    /// Ends the choice: releases what was held back. A part of a character becomes U+FFFD.
    pub fn finish(&mut self) -> Release {
        if self.stopped.is_none() {
            self.decoder.finish(&mut self.pending);
            if self.tokens < self.min_tokens {
                self.protected = self.released + self.pending.len();
            }
        }
        self.release(true)
    }

    /// The stop string that ended the choice, by its place in the request.
    pub fn stopped(&self) -> Option<usize> {
        self.stopped
    }

    fn release(&mut self, at_end: bool) -> Release {
        let offset = self.released;
        if self.stopped.is_some() {
            return Release { offset, stop: self.stopped, ..Release::default() };
        }
        let too_early = self.protected.saturating_sub(self.released);
        let shown = match self.stops.find(&self.pending, too_early) {
            Some(found) => {
                self.stopped = Some(found.stop);
                found.start
            }
            None if at_end => self.pending.len(),
            None => self.pending.len() - self.stops.unfinished(&self.pending),
        };
        let rest = self.pending.split_off(shown);
        let text = std::mem::replace(&mut self.pending, rest);
        self.released += text.len();
        if self.stopped.is_some() {
            self.pending.clear();
            self.decoder = Utf8Decoder::default();
        }
        let held_back = self.pending.len() + self.decoder.held_back();
        Release { text, offset, held_back, stop: self.stopped }
    }
}
