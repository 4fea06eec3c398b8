//! Cuts special tokens out of text before the rest is tokenized.
//!
//! The order is llama.cpp's: the longest token first over the whole text, each from left to right, and a part that
//! is taken stays taken. User-defined tokens are always cut out; control and unknown ones only on request. Unlike
//! there, a control token of one single character is never cut out: no mark fits inside it (see `chat/marks.rs`).

use helixflow_model::TokenId;

use crate::vocabulary::{TokenType, Vocabulary};

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragment<'a> {
    /// Plain text, never empty.
    Text(&'a str),
    /// A special token.
    Token(TokenId),
}

/// Which special tokens a text may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recognise {
    /// User-defined tokens, and control and unknown tokens too.
    All,
    /// User-defined tokens.
    UserDefined,
}

struct Special {
    text: String,
    id: TokenId,
    hidden: bool,
}

/// The special tokens of a vocabulary, longest first.
pub(crate) struct SpecialTokens {
    longest_first: Vec<Special>,
}

impl SpecialTokens {
    pub(crate) fn new(vocabulary: &Vocabulary) -> Self {
        let texts = (0..).zip(&vocabulary.tokens).filter(|(_, text)| !text.is_empty());
        let specials = texts.filter_map(|(id, text)| {
            let kind = vocabulary.token_type(id as usize);
            let control = kind.is_hidden() && text.chars().nth(1).is_some();
            let special = control || kind == TokenType::UserDefined;
            special.then(|| Special { text: text.clone(), id: TokenId(id), hidden: kind.is_hidden() })
        });
        let mut longest_first: Vec<Special> = specials.collect();
        longest_first.sort_by_key(|special| std::cmp::Reverse(special.text.len()));
        Self { longest_first }
    }

    /// The texts of the tokens that a user's words must never become.
    pub(crate) fn hidden_texts(&self) -> impl Iterator<Item = &str> {
        self.longest_first.iter().filter(|special| special.hidden).map(|special| special.text.as_str())
    }

    /// Splits a text at its special tokens. The parts, put together again, are the text.
    pub(crate) fn split<'a>(&self, text: &'a str, recognise: Recognise) -> Vec<Fragment<'a>> {
        let mut fragments = Vec::new();
        if !text.is_empty() {
            fragments.push(Fragment::Text(text));
        }
        for special in &self.longest_first {
            let wanted = recognise == Recognise::All || !special.hidden;
            if wanted && text.contains(special.text.as_str()) {
                fragments = cut_all(fragments, special);
            }
        }
        fragments
    }
}

fn cut_all<'a>(fragments: Vec<Fragment<'a>>, special: &Special) -> Vec<Fragment<'a>> {
    let mut cut = Vec::with_capacity(fragments.len() + 2);
    for fragment in fragments {
        let Fragment::Text(mut rest) = fragment else {
            cut.push(fragment);
            continue;
        };
        while let Some((before, after)) = rest.split_once(special.text.as_str()) {
            if !before.is_empty() {
                cut.push(Fragment::Text(before));
            }
            cut.push(Fragment::Token(special.id));
            rest = after;
        }
        if !rest.is_empty() {
            cut.push(Fragment::Text(rest));
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specials() -> SpecialTokens {
        let tokens = ["<a>", "<a><b>", "<u>", "x"].map(str::to_owned).to_vec();
        let token_types =
            vec![TokenType::Control, TokenType::Control, TokenType::UserDefined, TokenType::Normal];
        SpecialTokens::new(&Vocabulary { tokens, token_types, ..Vocabulary::default() })
    }

    #[test]
    fn the_longest_special_token_is_taken_first() {
        let parts = specials().split("x<a><b><a>y", Recognise::All);
        let expected = [
            Fragment::Text("x"),
            Fragment::Token(TokenId(1)),
            Fragment::Token(TokenId(0)),
            Fragment::Text("y"),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn control_tokens_stay_text_unless_they_are_asked_for() {
        let parts = specials().split("<a><u>", Recognise::UserDefined);
        assert_eq!(parts, [Fragment::Text("<a>"), Fragment::Token(TokenId(2))]);
    }

    #[test]
    fn an_empty_text_has_no_parts() {
        assert_eq!(specials().split("", Recognise::All), []);
    }
}
