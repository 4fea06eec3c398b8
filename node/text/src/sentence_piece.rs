//! SentencePiece as llama.cpp computes it: adjacent pieces merge while their sum is a token, the best score first
//! and, among equals, the leftmost; what is left without a token is spelt in bytes.
//!
//! The BPE of the `tokenizers` crate cannot stand in for it: it ranks pairs instead of results, so equal scores
//! come out in another order, and it spells a character without a token in bytes before a longer token could take
//! it in. Differing from llama.cpp on purpose, merges never form control, unknown or byte tokens: `<s>` or `<0x0A>`
//! in a user's text stays text, as in SentencePiece itself.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use ahash::AHashMap;
use helixflow_model::TokenId;

use crate::vocabulary::{TokenType, Vocabulary};

/// What SentencePiece writes for a space.
const ESCAPED_SPACE: &str = "\u{2581}";

/// Encodes plain text by scores.
pub(crate) struct SentencePiece {
    /// Looked up, never walked: its order does not matter.
    plain: AHashMap<String, (TokenId, f32)>,
    bytes: Vec<TokenId>,
}

impl SentencePiece {
    /// `unknown` stands for bytes that have no token of their own.
    pub(crate) fn new(vocabulary: &Vocabulary, unknown: TokenId) -> Self {
        let mut plain = AHashMap::new();
        let mut bytes = vec![unknown; 256];
        for (id, text) in (0..).zip(&vocabulary.tokens) {
            let score = vocabulary.scores.get(id as usize).copied().unwrap_or(0.0);
            match vocabulary.token_type(id as usize) {
                TokenType::Control | TokenType::Unknown => {}
                TokenType::Byte => {
                    if let Some(slot) = byte_of(text).and_then(|byte| bytes.get_mut(usize::from(byte))) {
                        *slot = TokenId(id);
                    }
                }
                _ if text.is_empty() => {}
                _ => {
                    plain.insert(text.clone(), (TokenId(id), score));
                }
            }
        }
        Self { plain, bytes }
    }

    /// Appends the tokens of a text whose spaces are escaped.
    pub(crate) fn encode(&self, escaped: &str, output: &mut Vec<TokenId>) {
        for piece in Merger::run(escaped, &self.plain) {
            match self.plain.get(piece) {
                Some((id, _)) => output.push(*id),
                None => output.extend(piece.bytes().filter_map(|byte| self.bytes.get(usize::from(byte)))),
            }
        }
    }
}

/// Spaces as SentencePiece writes them.
pub(crate) fn escape(text: &str) -> String {
    text.replace(' ', ESCAPED_SPACE)
}

/// Spaces as everybody else writes them.
pub(crate) fn unescape(text: &str) -> String {
    text.replace(ESCAPED_SPACE, " ")
}

/// The byte that a byte token, `<0x0A>`, stands for.
pub(crate) fn byte_of(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let two_digits = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if two_digits { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// A piece of the text: a link of a chain, empty once its left neighbour has taken it in.
#[derive(Clone, Copy)]
struct Link {
    start: usize,
    bytes: usize,
    previous: Option<usize>,
    next: Option<usize>,
}

/// Two neighbours whose sum is a token. Outdated when the sum of their sizes has changed since.
struct Candidate {
    score: f32,
    left: usize,
    right: usize,
    bytes: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(Reverse(self.left).cmp(&Reverse(other.left)))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}

/// One text being merged.
struct Merger<'a> {
    text: &'a str,
    tokens: &'a AHashMap<String, (TokenId, f32)>,
    links: Vec<Link>,
    candidates: BinaryHeap<Candidate>,
}

impl<'a> Merger<'a> {
    fn run(text: &'a str, tokens: &'a AHashMap<String, (TokenId, f32)>) -> impl Iterator<Item = &'a str> {
        let mut merger = Self { text, tokens, links: chain(text), candidates: BinaryHeap::new() };
        for right in 1..merger.links.len() {
            merger.offer(Some(right - 1), Some(right));
        }
        while let Some(best) = merger.candidates.pop() {
            merger.merge(&best);
        }
        let whole = merger.links.into_iter().filter(|link| link.bytes > 0);
        whole.filter_map(|link| text.get(link.start..link.start + link.bytes))
    }

    /// Puts two neighbours in line if their sum is a token.
    fn offer(&mut self, left: Option<usize>, right: Option<usize>) {
        let (Some(left), Some(right)) = (left, right) else { return };
        let (Some(first), Some(second)) = (self.links.get(left), self.links.get(right)) else { return };
        let bytes = first.bytes + second.bytes;
        let sum = self.text.get(first.start..first.start + bytes);
        if let Some((_, score)) = sum.and_then(|sum| self.tokens.get(sum)) {
            self.candidates.push(Candidate { score: *score, left, right, bytes });
        }
    }

    fn merge(&mut self, candidate: &Candidate) {
        let (Some(&left), Some(&right)) = (self.links.get(candidate.left), self.links.get(candidate.right))
        else {
            return;
        };
        if left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != candidate.bytes {
            return;
        }
        if let Some(link) = self.links.get_mut(candidate.left) {
            *link = Link { bytes: candidate.bytes, next: right.next, ..left };
        }
        if let Some(link) = self.links.get_mut(candidate.right) {
            link.bytes = 0;
        }
        if let Some(link) = right.next.and_then(|next| self.links.get_mut(next)) {
            link.previous = Some(candidate.left);
        }
        self.offer(left.previous, Some(candidate.left));
        self.offer(Some(candidate.left), right.next);
    }
}

/// One link for each character.
fn chain(text: &str) -> Vec<Link> {
    let mut links: Vec<Link> = text
        .char_indices()
        .enumerate()
        .map(|(index, (start, letter))| Link {
            start,
            bytes: letter.len_utf8(),
            previous: index.checked_sub(1),
            next: Some(index + 1),
        })
        .collect();
    if let Some(last) = links.last_mut() {
        last.next = None;
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_token_has_two_hexadecimal_digits() {
        assert_eq!(byte_of("<0x0A>"), Some(10));
        for other in ["<0xA>", "<0x+A>", "0x0A", "<0xGG>", "<0x00A>", ""] {
            assert_eq!(byte_of(other), None, "{other:?}");
        }
    }
}
