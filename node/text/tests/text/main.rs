//! What this crate promises, tested through its public door.
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod agrees_with_llamacpp;
mod bad_vocabularies;
mod byte_level_bpe;
mod chat;
mod detokenizer;
mod sentence_piece;
mod support;
