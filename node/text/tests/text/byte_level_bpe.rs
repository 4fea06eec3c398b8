//! Byte-level BPE through the public door.

use std::sync::{Arc, LazyLock};

use crate::support::{byte_level, ids, smollm, tokenizer};
use helixflow_model::TokenId;
use helixflow_text::{EncodeError, EncodeOptions, MAX_TEXT_BYTES, Tokenizer};
use proptest::prelude::*;

const MARKUP: EncodeOptions = EncodeOptions { add_special: false, parse_special: true };

fn texts(tokenizer: &Tokenizer, text: &str, options: EncodeOptions) -> Vec<String> {
    let ids = tokenizer.encode(text, options).expect("a short text");
    ids.iter().map(|id| tokenizer.text(*id).unwrap_or_default().to_owned()).collect()
}

#[test]
fn words_are_merged_by_rank() {
    let tokenizer = smollm();
    assert_eq!(texts(&tokenizer, "hello world", EncodeOptions::WORDS), ["hello", "Ġworld"]);
    assert_eq!(texts(&tokenizer, "hell", EncodeOptions::WORDS), ["hell"]);
    assert_eq!(texts(&tokenizer, "", EncodeOptions::PROMPT), [""; 0]);
}

#[test]
fn smollm_lets_each_digit_stand_alone_and_llama_does_not() {
    let merged = ["Ġ", "12", "3"];
    assert_eq!(texts(&tokenizer(&byte_level("smollm")), " 123", EncodeOptions::WORDS), ["Ġ", "1", "2", "3"]);
    assert_eq!(texts(&tokenizer(&byte_level("llama-bpe")), " 123", EncodeOptions::WORDS), merged);
}

#[test]
fn llama_takes_a_word_that_is_a_token_whole() {
    let mut vocabulary = byte_level("llama-bpe");
    vocabulary.tokens.push("xyz".to_owned());
    vocabulary.token_types.clear();
    assert_eq!(texts(&tokenizer(&vocabulary), "xyz", EncodeOptions::WORDS), ["xyz"]);
    vocabulary.pre = "smollm".to_owned();
    assert_eq!(texts(&tokenizer(&vocabulary), "xyz", EncodeOptions::WORDS), ["x", "y", "z"]);
}

#[test]
fn control_tokens_are_recognised_on_request_and_user_defined_ones_always() {
    let vocabulary = byte_level("smollm");
    let tokenizer = tokenizer(&vocabulary);
    let text = "hello<|end|><tool>";
    assert_eq!(tokenizer.encode(text, MARKUP).unwrap(), ids(&vocabulary, &["hello", "<|end|>", "<tool>"]));
    let words = tokenizer.encode(text, EncodeOptions::WORDS).unwrap();
    assert!(!words.contains(&TokenId(1)), "a control token came out of plain words");
    assert_eq!(words.last(), Some(&TokenId(3)));
    assert_eq!(tokenizer.decode(&words).unwrap(), text);
}

#[test]
fn a_word_that_spells_a_control_token_stays_a_word() {
    let mut vocabulary = byte_level("llama-bpe");
    vocabulary.tokens.push("stop".to_owned());
    vocabulary.token_types.push(helixflow_text::TokenType::Control);
    assert_eq!(texts(&tokenizer(&vocabulary), "stop", EncodeOptions::WORDS), ["s", "t", "o", "p"]);
    assert_eq!(texts(&tokenizer(&vocabulary), "stop", MARKUP), ["stop"]);
}

#[test]
fn a_prompt_begins_and_ends_as_the_vocabulary_asks() {
    let mut vocabulary = byte_level("smollm");
    assert_eq!(texts(&tokenizer(&vocabulary), "x", EncodeOptions::PROMPT), ["x"]);
    vocabulary.pre = "llama-bpe".to_owned();
    assert_eq!(texts(&tokenizer(&vocabulary), "x", EncodeOptions::PROMPT), ["<|start|>", "x"]);
    vocabulary.add_bos = Some(false);
    vocabulary.add_eos = Some(true);
    assert_eq!(texts(&tokenizer(&vocabulary), "x", EncodeOptions::PROMPT), ["x", "<|end|>"]);
    assert_eq!(texts(&tokenizer(&vocabulary), "x", EncodeOptions::WORDS), ["x"]);
}

#[test]
fn bytes_that_are_not_utf8_are_refused_with_their_offset() {
    let tokenizer = smollm();
    let error = tokenizer.encode_bytes(b"hello \xE2\x82", EncodeOptions::PROMPT).unwrap_err();
    assert!(matches!(error, EncodeError::NotUtf8 { offset: 6 }), "{error}");
    let good = tokenizer.encode_bytes("hello €".as_bytes(), EncodeOptions::PROMPT).unwrap();
    assert_eq!(tokenizer.decode(&good).unwrap(), "hello €");
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let tokenizer = smollm();
    let text = "x".repeat(MAX_TEXT_BYTES + 1);
    assert!(matches!(tokenizer.encode(&text, EncodeOptions::WORDS), Err(EncodeError::TooLong { .. })));
}

#[test]
fn bytes_without_a_token_are_left_out() {
    let mut vocabulary = byte_level("smollm");
    vocabulary.tokens[usize::from(b'x') + 4] = "a name of no byte".to_owned();
    assert_eq!(texts(&tokenizer(&vocabulary), "axb", EncodeOptions::WORDS), ["a", "b"]);
}

#[test]
fn control_tokens_have_a_name_but_no_text() {
    let tokenizer = smollm();
    assert_eq!(tokenizer.text(TokenId(1)), Some("<|end|>"));
    assert_eq!(tokenizer.decode(&[TokenId(1), TokenId(3)]).unwrap(), "<tool>");
    let size = tokenizer.vocabulary_size() as u32;
    assert_eq!(tokenizer.decode(&[TokenId(size)]).map_err(|error| error.id), Err(TokenId(size)));
}

#[test]
fn an_answer_ends_with_any_token_known_to_end_one() {
    let mut vocabulary = byte_level("smollm");
    vocabulary.tokens[2] = "<|eot_id|>".to_owned();
    let ends: Vec<u32> = tokenizer(&vocabulary).ends().iter().map(|id| id.0).collect();
    assert_eq!(ends, [1, 2]);
}

fn llama_bpe() -> Arc<Tokenizer> {
    static LLAMA: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| tokenizer(&byte_level("llama-bpe")));
    Arc::clone(&LLAMA)
}

proptest! {
    #[test]
    fn any_text_comes_back_from_its_tokens(text in "\\PC*|(?s:.*)", llama: bool) {
        let tokenizer = if llama { llama_bpe() } else { smollm() };
        let ids = tokenizer.encode(&text, EncodeOptions::WORDS).unwrap();
        prop_assert!(ids.iter().all(|id| id.0 >= 3), "a control token came out of plain words");
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }

    #[test]
    fn any_bytes_are_tokenized_or_refused(bytes: Vec<u8>) {
        let tokenizer = smollm();
        let result = tokenizer.encode_bytes(&bytes, EncodeOptions::WORDS);
        prop_assert_eq!(result.is_ok(), std::str::from_utf8(&bytes).is_ok());
    }
}
