//! The bytes that each token stands for.
//!
//! A piece need not be whole characters: byte-level tokens split them freely. Control and unknown tokens stand for
//! nothing, since they steer the model and are not part of its words.

use helixflow_model::TokenId;

use crate::byte_alphabet::ByteAlphabet;
use crate::sentence_piece;
use crate::vocabulary::{TokenType, Vocabulary};

/// An id that the vocabulary does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token {} is not in the vocabulary of {tokens} tokens: send ids of the model that is asked", id.0)]
pub struct UnknownToken {
    /// The id.
    pub id: TokenId,
    /// The number of tokens in the vocabulary.
    pub tokens: usize,
}

/// The scheme that a vocabulary's texts are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    ByteLevel,
    SentencePiece,
}

/// The bytes of all tokens, in one allocation.
pub(crate) struct Pieces {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Pieces {
    pub(crate) fn new(vocabulary: &Vocabulary, scheme: Scheme) -> Self {
        let alphabet = ByteAlphabet::new();
        let mut pieces = Self { bytes: Vec::new(), ends: Vec::with_capacity(vocabulary.tokens.len()) };
        for (id, text) in vocabulary.tokens.iter().enumerate() {
            match (vocabulary.token_type(id), scheme) {
                (TokenType::Control | TokenType::Unknown | TokenType::Unused, _) => {}
                (TokenType::UserDefined, _) => pieces.bytes.extend_from_slice(text.as_bytes()),
                (TokenType::Byte, _) => pieces.bytes.extend(sentence_piece::byte_of(text)),
                (TokenType::Normal, Scheme::ByteLevel) => pieces.bytes.extend(alphabet.decode(text)),
                (TokenType::Normal, Scheme::SentencePiece) => {
                    pieces.bytes.extend_from_slice(sentence_piece::unescape(text).as_bytes());
                }
            }
            pieces.ends.push(pieces.bytes.len());
        }
        pieces
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, id: TokenId) -> Result<&[u8], UnknownToken> {
        let index = id.0 as usize;
        let unknown = UnknownToken { id, tokens: self.len() };
        let end = *self.ends.get(index).ok_or(unknown)?;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.bytes.get(start..end).ok_or(unknown)
    }
}
