//! SentencePiece through the public door. What merges when is llama.cpp's rule, worked out here by hand.

use crate::support::{sentence_piece, tokenizer};
use helixflow_text::{EncodeOptions, Tokenizer};
use proptest::prelude::*;

fn texts(tokenizer: &Tokenizer, text: &str, options: EncodeOptions) -> Vec<String> {
    let ids = tokenizer.encode(text, options).expect("a short text");
    ids.iter().map(|id| tokenizer.text(*id).unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_best_score_merges_first() {
    let tokenizer = tokenizer(&sentence_piece());
    // "aa" (-1) before "▁a" (-3).
    assert_eq!(texts(&tokenizer, "aab", EncodeOptions::WORDS), ["▁", "aa", "b"]);
}

#[test]
fn of_equal_scores_the_leftmost_merges_first() {
    let tokenizer = tokenizer(&sentence_piece());
    // "ab" and "bc" share their score; "▁a" has lost its "a" by then.
    assert_eq!(texts(&tokenizer, "abc", EncodeOptions::WORDS), ["▁", "ab", "c"]);
}

#[test]
fn a_prompt_begins_with_bos_and_a_space() {
    let mut vocabulary = sentence_piece();
    assert_eq!(texts(&tokenizer(&vocabulary), "b", EncodeOptions::PROMPT), ["<s>", "▁", "b"]);
    vocabulary.add_space_prefix = Some(false);
    vocabulary.add_bos = Some(false);
    assert_eq!(texts(&tokenizer(&vocabulary), "b", EncodeOptions::PROMPT), ["b"]);
    assert_eq!(texts(&tokenizer(&vocabulary), "", EncodeOptions::PROMPT), [""; 0]);
}

#[test]
fn each_text_after_a_special_token_gets_its_space() {
    let tokenizer = tokenizer(&sentence_piece());
    let options = EncodeOptions { add_special: false, parse_special: true };
    assert_eq!(texts(&tokenizer, "b</s>b<tool>c", options), ["▁", "b", "</s>", "▁", "b", "<tool>", "▁", "c"]);
}

#[test]
fn text_without_a_token_is_spelt_in_bytes() {
    let tokenizer = tokenizer(&sentence_piece());
    assert_eq!(texts(&tokenizer, "é", EncodeOptions::WORDS), ["▁", "<0xC3>", "<0xA9>"]);
    assert_eq!(texts(&tokenizer, "\n", EncodeOptions::WORDS), ["▁", "<0x0A>"]);
}

#[test]
fn characters_without_a_token_still_join_a_longer_one() {
    let tokenizer = tokenizer(&sentence_piece());
    assert_eq!(texts(&tokenizer, "👩\u{200d}💻", EncodeOptions::WORDS), ["▁", "👩\u{200d}💻"]);
    assert_eq!(texts(&tokenizer, "💻", EncodeOptions::WORDS), ["▁", "<0xF0>", "<0x9F>", "<0x92>", "<0xBB>"]);
}

#[test]
fn words_never_merge_into_a_control_or_byte_token() {
    let tokenizer = tokenizer(&sentence_piece());
    // llama.cpp would merge "<s" and ">" into the control token "<s>".
    assert_eq!(texts(&tokenizer, "<s>", EncodeOptions::WORDS), ["▁", "<s", ">"]);
    let spelt = texts(&tokenizer, "<0x0A>", EncodeOptions::WORDS);
    assert!(!spelt.contains(&"<0x0A>".to_owned()), "{spelt:?}");
}

#[test]
fn without_byte_tokens_text_becomes_unknown() {
    let mut vocabulary = sentence_piece();
    for (text, kind) in vocabulary.tokens.iter_mut().zip(&mut vocabulary.token_types) {
        if *kind == helixflow_text::TokenType::Byte {
            text.clear();
            *kind = helixflow_text::TokenType::Unused;
        }
    }
    assert_eq!(texts(&tokenizer(&vocabulary), "é", EncodeOptions::WORDS), ["▁", "<unk>", "<unk>"]);
}

proptest! {
    #[test]
    fn any_text_comes_back_behind_its_space(text in "[abc<>s /👩💻\u{200d}]{0,40}|(?s:.*)") {
        let tokenizer = tokenizer(&sentence_piece());
        let ids = tokenizer.encode(&text, EncodeOptions::WORDS).unwrap();
        // The escape of a space cannot be told from a space: so it is in SentencePiece.
        let expected = format!(" {text}").replace('\u{2581}', " ");
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), if text.is_empty() { text } else { expected });
    }
}
