//! Marks that keep a message's words from being read as control tokens.
//!
//! A template may trim, split and compare contents, so they go through it as text, not as place holders. Wherever a
//! content spells a control token, or a part of one that the text beside it could complete, a mark (a character that
//! occurs in no message) is put inside. The rendered text is searched for control tokens with the marks in place, and
//! only then are they taken out. A template that itself cuts words out of the middle of a content could still join
//! the parts around them; those of published models keep to whole contents and their ends.

use std::collections::BTreeSet;

use super::prompt::Message;

/// Plane 15, for private use: characters without a meaning of their own. There are more than fit into the longest
/// text, so one is always free.
const MARKS: std::ops::RangeInclusive<char> = '\u{F0000}'..='\u{FFFFD}';

/// A character that no message contains.
pub(crate) fn free_mark(messages: &[Message]) -> Option<char> {
    let letters = messages.iter().flat_map(|message| message.content.chars());
    let used: BTreeSet<char> = letters.filter(|letter| MARKS.contains(letter)).collect();
    MARKS.into_iter().find(|mark| !used.contains(mark))
}

/// The content with a mark inside everything that could become one of the `control` texts.
pub(crate) fn guard<'a>(content: &str, control: impl Iterator<Item = &'a str>, mark: char) -> String {
    let mut places = BTreeSet::new();
    // Most templates trim contents, so what stands at the ends of the trimmed one counts too.
    let trimmed = content.trim();
    let leading = content.len() - content.trim_start().len();
    for token in control {
        find_places(content, 0, token, &mut places);
        find_places(trimmed, leading, token, &mut places);
    }
    let mut guarded = String::with_capacity(content.len() + places.len() * mark.len_utf8());
    let mut copied = 0;
    for place in places {
        guarded.push_str(content.get(copied..place).unwrap_or_default());
        guarded.push(mark);
        copied = place;
    }
    guarded.push_str(content.get(copied..).unwrap_or_default());
    guarded
}

/// Where a mark breaks `token`: byte offsets in a text of which `content` is the part from `base` on.
fn find_places(content: &str, base: usize, token: &str, places: &mut BTreeSet<usize>) {
    let mut letters = token.char_indices().skip(1);
    let Some((second, _)) = letters.next() else { return };
    // The content holds the rest of a token that the text before it begins.
    let rests = std::iter::once(second).chain(letters.map(|(start, _)| start));
    if rests.filter_map(|start| token.get(start..)).any(|rest| continues(content, rest)) {
        places.insert(base);
    }
    // The content holds the token, or its beginning at its own end.
    let mut from = 0;
    while let Some(rest) = content.get(from..) {
        let Some(start) = rest.find(token.get(..second).unwrap_or(token)) else { break };
        let place = from + start + second;
        if rest.get(start..).is_some_and(|found| continues(found, token)) {
            places.insert(base + place);
        }
        from = place;
    }
}

/// Whether two texts are equal as far as both go. Nothing continues into an empty text.
fn continues(text: &str, expected: &str) -> bool {
    !text.is_empty() && (text.starts_with(expected) || expected.starts_with(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(content: &str) -> String {
        guard(content, ["<|end|>"].into_iter(), '#')
    }

    #[test]
    fn a_whole_token_is_broken_wherever_it_stands() {
        assert_eq!(guarded("a<|end|>b"), "a<#|end|>b");
        assert_eq!(guarded("<<|end|><|end|>"), "<<#|end|><#|end|>");
    }

    #[test]
    fn a_part_that_its_neighbours_could_complete_is_broken() {
        assert_eq!(guarded("x<|en"), "x<#|en");
        assert_eq!(guarded("x<"), "x<#");
        assert_eq!(guarded("nd|> x"), "#nd|> x");
        assert_eq!(guarded("end"), "#end");
        assert_eq!(guarded(" nd|> x<|e \n"), " #nd|> x<#|e \n");
    }

    #[test]
    fn other_words_are_left_alone() {
        for content in ["", "x", "a < b", "<|start|>", "the end", "end of it"] {
            assert_eq!(guarded(content), content);
        }
    }

    #[test]
    fn a_mark_is_a_character_that_no_message_contains() {
        let messages = [Message::new("user", "\u{F0000}\u{F0001}"), Message::new("user", "\u{F0003}")];
        assert_eq!(free_mark(&messages), Some('\u{F0002}'));
    }
}
