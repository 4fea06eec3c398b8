//! Text on both sides of the engine: tokenizer, chat template, detokenizer, stop strings.
//!
//! Everything is built from the vocabulary that a model file carries ([`Vocabulary`]), so that text and weights
//! never come from different places. The reference is llama.cpp: the same text gives the same ids, but where a
//! user's text would turn into control tokens (see [`EncodeOptions`] and [`ChatPrompt`]).
//!
//! Reading the model file, choosing tokens and the wire's messages lie elsewhere; nothing here does IO, reads a
//! clock or draws a number.

mod byte_alphabet;
mod byte_level;
mod chat;
mod detokenize;
mod pieces;
mod sentence_piece;
mod specials;
mod tokenizer;
mod vocabulary;

pub use chat::{ChatError, ChatPrompt, ChatTemplate, MAX_MESSAGES, MAX_TEMPLATE_BYTES, Message, RenderTime};
pub use detokenize::{Detokenizer, Release};
pub use pieces::UnknownToken;
pub use tokenizer::{EncodeError, EncodeOptions, MAX_TEXT_BYTES, Tokenizer};
pub use vocabulary::{MAX_TOKEN_BYTES, MAX_TOKENS, TokenType, UnknownTokenType, Vocabulary, VocabularyError};
