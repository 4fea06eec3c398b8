//! A bad vocabulary is an error that says what is wrong, never a panic.

use crate::support::{byte_level, sentence_piece};
use helixflow_model::TokenId;
use helixflow_text::{TokenType, Tokenizer, Vocabulary, VocabularyError};
use proptest::prelude::*;

fn error(change: impl FnOnce(&mut Vocabulary)) -> VocabularyError {
    let mut vocabulary = byte_level("smollm");
    change(&mut vocabulary);
    Tokenizer::new(&vocabulary).err().expect("a refusal")
}

#[test]
fn other_models_and_pre_tokenizers_are_refused_by_name() {
    for model in ["bert", "t5", "rwkv", ""] {
        let error = error(|vocabulary| vocabulary.model = model.to_owned());
        assert!(error.to_string().contains(&format!("{model:?}")), "{error}");
    }
    for pre in ["qwen2", "default", ""] {
        let error = error(|vocabulary| vocabulary.pre = pre.to_owned());
        assert!(error.to_string().contains(&format!("{pre:?}")), "{error}");
    }
}

#[test]
fn lists_must_have_one_entry_for_each_token() {
    assert!(matches!(error(|v| v.tokens.clear()), VocabularyError::Count(0)));
    assert!(matches!(error(|v| v.token_types.truncate(9)), VocabularyError::Length { .. }));
    assert!(matches!(error(|v| v.scores.push(1.0)), VocabularyError::Length { .. }));
    assert!(matches!(error(|v| v.scores = vec![f32::NAN; v.tokens.len()]), VocabularyError::Score(0)));
}

#[test]
fn a_token_may_not_appear_twice() {
    let error = error(|vocabulary| vocabulary.tokens[9] = vocabulary.tokens[7].clone());
    assert!(matches!(error, VocabularyError::Duplicate { first: 7, second: 9, .. }), "{error}");
}

#[test]
fn ids_must_be_in_the_vocabulary() {
    type Set = fn(&mut Vocabulary) -> &mut Option<TokenId>;
    let ids: [Set; 4] = [|v| &mut v.bos, |v| &mut v.eos, |v| &mut v.unk, |v| &mut v.eot];
    for id in ids {
        let error = error(|vocabulary| *id(vocabulary) = Some(TokenId(5000)));
        assert!(matches!(error, VocabularyError::IdOutOfRange { id: 5000, .. }), "{error}");
    }
}

#[test]
fn a_token_to_be_added_must_be_named() {
    let error = error(|vocabulary| {
        vocabulary.add_bos = Some(true);
        vocabulary.bos = None;
    });
    assert!(matches!(error, VocabularyError::MissingId { .. }), "{error}");
}

#[test]
fn a_merge_must_be_two_tokens_that_make_a_third() {
    let long = "h".repeat(300);
    for merge in ["", "h", "h e l", "h zz", "zz h", "z z", &format!("{long} {long}")] {
        let error = error(|vocabulary| vocabulary.merges.push(merge.to_owned()));
        assert!(matches!(error, VocabularyError::Merge { index: 12, .. }), "{merge:?}: {error}");
    }
}

#[test]
fn a_token_may_not_be_longer_than_any_word() {
    assert!(matches!(error(|v| v.tokens[9] = "x".repeat(5000)), VocabularyError::TooLong { id: 9, .. }));
}

#[test]
fn token_types_are_those_of_gguf() {
    assert_eq!(TokenType::from_gguf(3), Ok(TokenType::Control));
    assert!(TokenType::from_gguf(0).is_err() && TokenType::from_gguf(7).is_err());
}

proptest! {
    #[test]
    fn any_vocabulary_is_built_or_refused(
        kind in 0..3_usize,
        tokens in prop::collection::vec("[a-c<>0xA ĠĊ▁é]{0,6}", 0..40),
        types in prop::collection::vec(1..7_i64, 0..40),
        scores in prop::collection::vec(any::<f32>(), 0..40),
        merges in prop::collection::vec("[a-c]{0,3} ?[a-c]{0,3}", 0..4),
        id in prop::option::of(0..50_u32),
        flag: Option<bool>,
        text in "[a-c<>0xA é]{0,30}",
    ) {
        let vocabulary = Vocabulary {
            model: if kind == 2 { "llama" } else { "gpt2" }.to_owned(),
            pre: if kind == 1 { "llama-bpe" } else { "smollm" }.to_owned(),
            tokens,
            token_types: types.into_iter().map(|kind| TokenType::from_gguf(kind).unwrap()).collect(),
            scores,
            merges,
            bos: id.map(TokenId),
            unk: id.map(TokenId),
            add_bos: flag,
            add_space_prefix: flag,
            ..Vocabulary::default()
        };
        if let Ok(tokenizer) = Tokenizer::new(&vocabulary) {
            for options in [helixflow_text::EncodeOptions::PROMPT, helixflow_text::EncodeOptions::WORDS] {
                let ids = tokenizer.encode(&text, options).unwrap();
                prop_assert!(tokenizer.decode(&ids).is_ok());
            }
        }
    }

    #[test]
    fn a_damaged_vocabulary_is_built_or_refused(cut in 0..300_usize, sentences: bool, drop_types: bool) {
        let mut vocabulary = if sentences { sentence_piece() } else { byte_level("smollm") };
        vocabulary.tokens.truncate(cut);
        vocabulary.scores.truncate(cut);
        vocabulary.token_types.truncate(if drop_types { 0 } else { cut });
        if let Ok(tokenizer) = Tokenizer::new(&vocabulary) {
            let ids = tokenizer.encode("hello é", helixflow_text::EncodeOptions::PROMPT).unwrap();
            prop_assert!(tokenizer.decode(&ids).is_ok());
        }
    }
}
