//! A model's vocabulary as its file gives it, and the checks that make it safe to build on.
//!
//! The fields mirror the `tokenizer.ggml.*` keys of GGUF. A field that the file leaves out takes llama.cpp's
//! default when the tokenizer is built, not here. Texts are UTF-8 in every published vocabulary: bytes that are none
//! are written in the scheme's own alphabet.

use std::collections::BTreeMap;

use helixflow_model::TokenId;

/// Most tokens in a vocabulary; the largest published ones have about 262,000.
pub const MAX_TOKENS: usize = 1 << 20;
/// Longest text of one token, in bytes; the longest in published vocabularies are runs of a few hundred spaces.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// What a token stands for: the numbers of `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenType {
    /// A piece of text.
    Normal,
    /// Stands for what has no token.
    Unknown,
    /// Steers the model (end of turn, start of a role): has no text of its own.
    Control,
    /// Text that is always one token.
    UserDefined,
    /// Reserved.
    Unused,
    /// One byte, `<0x0A>`, for text that has no token (SentencePiece).
    Byte,
}

/// A token type that GGUF does not define.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("token type {0} is not one of 1 to 6: convert the model again with a current converter")]
pub struct UnknownTokenType(pub i64);

impl TokenType {
    /// Reads the number that GGUF stores.
    pub fn from_gguf(value: i64) -> Result<Self, UnknownTokenType> {
        match value {
            1 => Ok(Self::Normal),
            2 => Ok(Self::Unknown),
            3 => Ok(Self::Control),
            4 => Ok(Self::UserDefined),
            5 => Ok(Self::Unused),
            6 => Ok(Self::Byte),
            other => Err(UnknownTokenType(other)),
        }
    }

    /// Control and unknown tokens never come out of plain text, and show no text of their own.
    pub fn is_hidden(self) -> bool {
        matches!(self, Self::Control | Self::Unknown)
    }
}

/// Everything that a model file says about its text, unchecked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    /// `tokenizer.ggml.model`: `gpt2` (byte-level BPE) or `llama` (SentencePiece).
    pub model: String,
    /// `tokenizer.ggml.pre`: how byte-level BPE splits text into words; empty for SentencePiece.
    pub pre: String,
    /// `tokenizer.ggml.tokens`: the text of each token, in the model's own alphabet; the index is the id.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.token_type`: one for each token; empty means that all are normal.
    pub token_types: Vec<TokenType>,
    /// `tokenizer.ggml.scores`: one for each token (SentencePiece); else empty.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.merges`: `left right`, best first (byte-level BPE); else empty.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.bos_token_id`: begins a sequence.
    pub bos: Option<TokenId>,
    /// `tokenizer.ggml.eos_token_id`: ends a sequence.
    pub eos: Option<TokenId>,
    /// `tokenizer.ggml.unknown_token_id`: stands for text without a token.
    pub unk: Option<TokenId>,
    /// `tokenizer.ggml.eot_token_id`: ends a turn of a chat.
    pub eot: Option<TokenId>,
    /// `tokenizer.ggml.add_bos_token`: a prompt begins with `bos`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`: a prompt ends with `eos`.
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`: SentencePiece puts a space before text.
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.chat_template`: Jinja source; the tokenizer does not look at it.
    pub chat_template: Option<String>,
}

/// A vocabulary that no tokenizer can be built from.
#[derive(Debug, thiserror::Error)]
pub enum VocabularyError {
    /// Neither `gpt2` nor `llama`.
    #[error(
        "tokenizer model {0:?} is not supported: use a model whose tokenizer.ggml.model is gpt2 or llama"
    )]
    UnsupportedModel(String),
    /// A way of splitting text that is not implemented.
    #[error(
        "pre-tokenizer {0:?} is not supported: use a model whose tokenizer.ggml.pre is smollm or llama-bpe"
    )]
    UnsupportedPre(String),
    /// No tokens, or more than [`MAX_TOKENS`].
    #[error("the vocabulary has {0} tokens, expected 1 to {MAX_TOKENS}: check that the file is complete")]
    Count(usize),
    /// A list that has not one entry for each token.
    #[error("{what} has {found} entries for {tokens} tokens: check that the file is complete")]
    Length {
        /// The key in the file.
        what: &'static str,
        /// Its number of entries.
        found: usize,
        /// The number of tokens.
        tokens: usize,
    },
    /// One text, two ids.
    #[error(
        "tokens {first} and {second} are both {text:?}: convert the model again with a current converter"
    )]
    Duplicate {
        /// The text.
        text: String,
        /// The lower id.
        first: usize,
        /// The higher id.
        second: usize,
    },
    /// A token longer than [`MAX_TOKEN_BYTES`].
    #[error("token {id} is {bytes} bytes long, more than {MAX_TOKEN_BYTES}: check that the file is complete")]
    TooLong {
        /// Its id.
        id: usize,
        /// Its length.
        bytes: usize,
    },
    /// A score that cannot be ordered.
    #[error("the score of token {0} is not a finite number: check that the file is complete")]
    Score(usize),
    /// An id without a token.
    #[error("{what} is {id}, but the vocabulary has {tokens} tokens: check that the file is complete")]
    IdOutOfRange {
        /// The key in the file.
        what: &'static str,
        /// The id.
        id: u32,
        /// The number of tokens.
        tokens: usize,
    },
    /// The vocabulary asks for a token that it does not name.
    #[error("{flag} is true, but {id} is missing: convert the model again with a current converter")]
    MissingId {
        /// The key that asks.
        flag: &'static str,
        /// The key that is missing.
        id: &'static str,
    },
    /// A merge that is not two tokens which make a third.
    #[error("merge {index}, {text:?}, is not two tokens that make a third: check that the file is complete")]
    Merge {
        /// Its place in the list.
        index: usize,
        /// The merge.
        text: String,
    },
    /// The tokenizer library refused it.
    #[error("the vocabulary cannot be built into a tokenizer: check that the file is complete")]
    Library(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Vocabulary {
    /// Checks what every tokenizer relies on: counts, lengths, ids in range, no text twice.
    pub(crate) fn validate(&self) -> Result<(), VocabularyError> {
        let tokens = self.tokens.len();
        if tokens == 0 || tokens > MAX_TOKENS {
            return Err(VocabularyError::Count(tokens));
        }
        one_each("tokenizer.ggml.token_type", self.token_types.len(), tokens)?;
        one_each("tokenizer.ggml.scores", self.scores.len(), tokens)?;
        if let Some(id) = self.scores.iter().position(|score| !score.is_finite()) {
            return Err(VocabularyError::Score(id));
        }
        self.validate_texts()?;
        self.validate_ids()
    }

    /// The type of a token; all are normal where the file gives no types.
    pub(crate) fn token_type(&self, id: usize) -> TokenType {
        self.token_types.get(id).copied().unwrap_or(TokenType::Normal)
    }

    /// Tokens with an empty text are place holders and may repeat.
    fn validate_texts(&self) -> Result<(), VocabularyError> {
        let mut seen = BTreeMap::new();
        for (id, text) in self.tokens.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            if text.len() > MAX_TOKEN_BYTES {
                return Err(VocabularyError::TooLong { id, bytes: text.len() });
            }
            if let Some(first) = seen.insert(text.as_str(), id) {
                return Err(VocabularyError::Duplicate { text: text.clone(), first, second: id });
            }
        }
        Ok(())
    }

    fn validate_ids(&self) -> Result<(), VocabularyError> {
        let ids = [
            ("tokenizer.ggml.bos_token_id", self.bos),
            ("tokenizer.ggml.eos_token_id", self.eos),
            ("tokenizer.ggml.unknown_token_id", self.unk),
            ("tokenizer.ggml.eot_token_id", self.eot),
        ];
        let tokens = self.tokens.len();
        for (what, id) in ids {
            match id {
                Some(TokenId(id)) if id as usize >= tokens => {
                    return Err(VocabularyError::IdOutOfRange { what, id, tokens });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A list with one entry for each token, or an absent one.
fn one_each(what: &'static str, found: usize, tokens: usize) -> Result<(), VocabularyError> {
    if found == 0 || found == tokens {
        return Ok(());
    }
    Err(VocabularyError::Length { what, found, tokens })
}
