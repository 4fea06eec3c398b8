//! Small vocabularies made by hand, one of each kind.

use std::sync::{Arc, LazyLock};

use helixflow_model::TokenId;
use helixflow_text::{TokenType, Tokenizer, Vocabulary};

/// GPT-2's alphabet: printable bytes of Latin-1 are themselves, the others follow from U+0100 on.
pub(crate) fn byte_letters() -> Vec<String> {
    let mut others = 0x100..;
    (0..=255_u8)
        .map(|byte| match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte).to_string(),
            _ => others.next().and_then(char::from_u32).map(String::from).unwrap_or_default(),
        })
        .collect()
}

/// Byte-level BPE: three control tokens, a user-defined one, all bytes, and the merges of a few words.
pub(crate) fn byte_level(pre: &str) -> Vocabulary {
    let merges =
        ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "Ġ Ġ", "1 2", "ð Ł"];
    let mut tokens = ["<|start|>", "<|end|>", "<|pad|>", "<tool>"].map(str::to_owned).to_vec();
    let mut token_types = vec![TokenType::Control; 3];
    token_types.push(TokenType::UserDefined);
    tokens.extend(byte_letters());
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    token_types.resize(tokens.len(), TokenType::Normal);
    Vocabulary {
        model: "gpt2".to_owned(),
        pre: pre.to_owned(),
        tokens,
        token_types,
        merges: merges.map(str::to_owned).to_vec(),
        bos: Some(TokenId(0)),
        eos: Some(TokenId(1)),
        ..Vocabulary::default()
    }
}

/// SentencePiece: unknown, begin and end, all bytes, and pieces with scores.
pub(crate) fn sentence_piece() -> Vocabulary {
    let mut vocabulary = Vocabulary { model: "llama".to_owned(), ..Vocabulary::default() };
    let mut add = |text: &str, kind, score| {
        vocabulary.tokens.push(text.to_owned());
        vocabulary.token_types.push(kind);
        vocabulary.scores.push(score);
    };
    add("<unk>", TokenType::Unknown, 0.0);
    add("<s>", TokenType::Control, 0.0);
    add("</s>", TokenType::Control, 0.0);
    add("<tool>", TokenType::UserDefined, 0.0);
    for byte in 0..=255_u8 {
        add(&format!("<0x{byte:02X}>"), TokenType::Byte, 0.0);
    }
    let pieces = [
        ("aa", -1.0),
        ("ab", -2.0),
        ("bc", -2.0),
        ("▁a", -3.0),
        ("<s", -4.0),
        ("▁", -5.0),
        ("a", -6.0),
        ("b", -7.0),
        ("c", -8.0),
        ("<", -9.0),
        ("s", -10.0),
        (">", -11.0),
        ("👩\u{200d}", -12.0),
        ("👩\u{200d}💻", -13.0),
    ];
    for (piece, score) in pieces {
        add(piece, TokenType::Normal, score);
    }
    vocabulary
}

/// A tokenizer of a vocabulary that must be good.
pub(crate) fn tokenizer(vocabulary: &Vocabulary) -> Arc<Tokenizer> {
    Arc::new(Tokenizer::new(vocabulary).expect("a good vocabulary"))
}

/// The tokenizer of [`byte_level`] with SmolLM's split, built once.
pub(crate) fn smollm() -> Arc<Tokenizer> {
    static SMOLLM: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| tokenizer(&byte_level("smollm")));
    Arc::clone(&SMOLLM)
}

/// The ids of tokens by their texts in the vocabulary.
pub(crate) fn ids(vocabulary: &Vocabulary, texts: &[&str]) -> Vec<TokenId> {
    let id = |text: &&str| vocabulary.tokens.iter().position(|token| token == text);
    texts.iter().map(|text| TokenId(id(text).unwrap_or_else(|| panic!("no token {text:?}")) as u32)).collect()
}
