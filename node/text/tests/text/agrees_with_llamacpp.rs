//! The kinds of vocabulary that no model at hand has, on small synthetic ones: the ids are llama.cpp's.
//!
//! `tests/scripts/llamacpp_synthetic_tokens.py` makes the data: vocabularies, and what llama.cpp makes of 623 strings
//! when it reads them from GGUF files.

use helixflow_model::TokenId;
use helixflow_text::{EncodeOptions, TokenType, Tokenizer, Vocabulary};
use serde::Deserialize;

/// Letters and numbers that llama.cpp's tables, of Unicode 15, do not have: it takes the apostrophe behind one as more
/// of the same, where we see the contraction `'s`. SentencePiece has no such tables.
const NEW_IN_UNICODE_16: [&str; 6] =
    ["\u{1c8a}'s", "\u{a7cd}'s", "\u{10d4a}'s", "\u{13460}'s", "\u{11bf1}'s", "\u{116d0}'s"];

/// A vocabulary, and strings with their ids as words and as a whole prompt.
#[derive(Deserialize)]
struct Comparison {
    vocabulary: Keys,
    cases: Vec<(String, Vec<TokenId>, Vec<TokenId>)>,
}

/// The keys of the GGUF file.
#[derive(Deserialize)]
struct Keys {
    model: String,
    pre: String,
    tokens: Vec<String>,
    token_type: Vec<i64>,
    scores: Vec<f32>,
    merges: Vec<String>,
    bos: TokenId,
    eos: TokenId,
}

impl Keys {
    fn vocabulary(self) -> Vocabulary {
        let types = self.token_type.into_iter().map(TokenType::from_gguf);
        Vocabulary {
            model: self.model,
            pre: self.pre,
            tokens: self.tokens,
            token_types: types.collect::<Result<_, _>>().expect("token types of GGUF"),
            scores: self.scores,
            merges: self.merges,
            bos: Some(self.bos),
            eos: Some(self.eos),
            ..Vocabulary::default()
        }
    }
}

/// The strings whose ids are not the expected ones.
fn differing(data: &str) -> Vec<String> {
    let comparison: Comparison = serde_json::from_str(data).expect("the form that the script writes");
    assert!(comparison.cases.len() >= 500, "only {} strings", comparison.cases.len());
    let tokenizer = Tokenizer::new(&comparison.vocabulary.vocabulary()).expect("a good vocabulary");
    let encode = |text: &str, options| tokenizer.encode(text, options).expect("a short text");
    let differs = |(text, words, prompt): &(String, Vec<TokenId>, Vec<TokenId>)| {
        let same =
            encode(text, EncodeOptions::WORDS) == *words && encode(text, EncodeOptions::PROMPT) == *prompt;
        (!same).then(|| text.clone())
    };
    comparison.cases.iter().filter_map(differs).collect()
}

#[test]
fn llama_bpe_gives_the_ids_of_llamacpp() {
    assert_eq!(differing(include_str!("data/llama-bpe.json")), NEW_IN_UNICODE_16);
}

#[test]
fn sentence_piece_gives_the_ids_of_llamacpp() {
    assert_eq!(differing(include_str!("data/sentence-piece.json")), [""; 0]);
}
