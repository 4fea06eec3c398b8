//! What the detokenizer promises, for any tokens and any stop strings.

use std::sync::Arc;

use crate::support::{byte_level, ids, smollm};
use helixflow_model::TokenId;
use helixflow_text::{Detokenizer, EncodeOptions, Release, Tokenizer};
use proptest::prelude::*;

fn byte(byte: u8) -> TokenId {
    TokenId(u32::from(byte) + 4)
}

fn spell(text: &str) -> Vec<TokenId> {
    text.bytes().map(byte).collect()
}

fn strings(stop: &[&str]) -> Vec<String> {
    stop.iter().map(|stop| (*stop).to_owned()).collect()
}

/// All releases of a sequence, the last from `finish`.
fn run(tokenizer: &Arc<Tokenizer>, ids: &[TokenId], stop: &[String], min_tokens: u32) -> Vec<Release> {
    let mut detokenizer = Detokenizer::new(Arc::clone(tokenizer), stop, min_tokens);
    let mut releases: Vec<Release> = ids.iter().map(|id| detokenizer.push(*id).unwrap()).collect();
    releases.push(detokenizer.finish());
    releases
}

fn texts(releases: &[Release]) -> Vec<&str> {
    releases.iter().map(|release| release.text.as_str()).collect()
}

#[test]
fn a_character_is_shown_when_it_is_whole() {
    let releases = run(&smollm(), &spell("a€b"), &[], 0);
    assert_eq!(texts(&releases), ["a", "", "", "€", "b", ""]);
    assert_eq!(releases.iter().map(|release| release.held_back).collect::<Vec<_>>(), [0, 1, 2, 0, 0, 0]);
    assert_eq!(releases.iter().map(|release| release.offset).collect::<Vec<_>>(), [0, 1, 1, 1, 4, 5]);
}

#[test]
fn bytes_that_can_never_be_a_character_are_replaced_at_once() {
    let ids = [byte(0xE2), byte(0x82), byte(b'x'), byte(0xFF), byte(0xC3)];
    assert_eq!(texts(&run(&smollm(), &ids, &[], 0)), ["", "", "\u{FFFD}x", "\u{FFFD}", "", "\u{FFFD}"]);
}

#[test]
fn control_tokens_show_nothing() {
    let vocabulary = byte_level("smollm");
    let ids = ids(&vocabulary, &["hello", "<|end|>", "<tool>"]);
    assert_eq!(texts(&run(&smollm(), &ids, &[], 0)), ["hello", "", "<tool>", ""]);
}

#[test]
fn a_possible_stop_string_is_held_back_until_it_is_none() {
    let releases = run(&smollm(), &spell("ab<e>"), &strings(&["<end>"]), 0);
    assert_eq!(texts(&releases), ["a", "b", "", "", "<e>", ""]);
    let unfinished = run(&smollm(), &spell("a<en"), &strings(&["<end>"]), 0);
    assert_eq!(texts(&unfinished), ["a", "", "", "", "<en"]);
}

#[test]
fn text_ends_before_the_stop_string() {
    let releases = run(&smollm(), &spell("ab<end>cd"), &strings(&["no", "<end>"]), 0);
    assert_eq!(texts(&releases).concat(), "ab");
    assert_eq!(releases[5].stop, None);
    assert!(releases[6..].iter().all(|release| release.stop == Some(1) && release.held_back == 0));
}

#[test]
fn a_stop_string_inside_one_token_cuts_its_text() {
    let vocabulary = byte_level("smollm");
    let releases = run(&smollm(), &ids(&vocabulary, &["hello", "Ġworld"]), &strings(&["wor"]), 0);
    assert_eq!(texts(&releases), ["hello", " ", ""]);
}

#[test]
fn a_stop_string_before_min_tokens_does_not_count() {
    let stop = strings(&["aa"]);
    assert_eq!(texts(&run(&smollm(), &spell("aab"), &stop, 3)).concat(), "aab");
    // The third token completes another one, which began before.
    let late = run(&smollm(), &spell("aaab"), &stop, 3);
    assert_eq!((texts(&late).concat(), late[2].stop), ("a".to_owned(), Some(0)));
    assert_eq!(texts(&run(&smollm(), &spell("aa"), &stop, 5)).concat(), "aa");
}

#[test]
fn an_empty_stop_string_ends_nothing() {
    assert_eq!(texts(&run(&smollm(), &spell("ab"), &strings(&[""]), 0)), ["a", "b", ""]);
}

#[test]
fn an_unknown_token_is_an_error_and_changes_nothing() {
    let mut detokenizer = Detokenizer::new(smollm(), &strings(&["ab"]), 0);
    assert_eq!(detokenizer.push(byte(b'a')).unwrap().held_back, 1);
    assert!(detokenizer.push(TokenId(9999)).is_err());
    assert_eq!(detokenizer.push(byte(b'b')).unwrap().stop, Some(0));
}

/// Tokens of all kinds, many of them bytes that make no character or parts of the stop strings below.
fn any_ids() -> impl Strategy<Value = Vec<TokenId>> {
    let letter = prop::sample::select(b"ab<> \xC3\xA9\xE2\x82\xAC\xF0\x9F\xFF".to_vec()).prop_map(byte);
    prop::collection::vec(prop_oneof![4 => letter, 1 => (0..272_u32).prop_map(TokenId)], 0..40)
}

fn any_stops() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ab<>é€\u{FFFD} ]{0,4}|hello", 0..4)
}

/// Where the stop string that is complete first begins: byte by byte, without any of the detokenizer's ways.
fn first_stop(text: &str, stops: &[String]) -> Option<usize> {
    let ends = text.char_indices().map(|(start, letter)| start + letter.len_utf8());
    let mut found = ends.filter_map(|end| {
        let before = &text[..end];
        let complete = stops.iter().filter(|stop| !stop.is_empty() && before.ends_with(stop.as_str()));
        complete.map(|stop| end - stop.len()).min()
    });
    found.next()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn all_releases_together_are_the_whole_text_up_to_the_stop(ids in any_ids(), stops in any_stops()) {
        let tokenizer = smollm();
        let whole = tokenizer.decode(&ids).unwrap();
        let shown = texts(&run(&tokenizer, &ids, &stops, 0)).concat();
        prop_assert_eq!(&shown, &whole[..first_stop(&whole, &stops).unwrap_or(whole.len())]);
        for stop in stops.iter().filter(|stop| !stop.is_empty()) {
            prop_assert!(!shown.contains(stop.as_str()), "{stop:?} was shown in {shown:?}");
        }
    }

    #[test]
    fn nothing_is_shown_that_would_have_to_be_taken_back(
        ids in any_ids(), stops in any_stops(), min in 0..20_u32, at in 0..40_usize,
    ) {
        let tokenizer = smollm();
        let at = at.min(ids.len());
        let mut detokenizer = Detokenizer::new(Arc::clone(&tokenizer), &stops, min);
        let early: String = ids[..at].iter().map(|id| detokenizer.push(*id).unwrap().text).collect();
        let whole = texts(&run(&tokenizer, &ids, &stops, min)).concat();
        prop_assert!(whole.starts_with(&early));
    }

    #[test]
    fn offsets_follow_the_text_and_held_back_bytes_come_at_the_end(
        ids in any_ids(), stops in any_stops(), min in 0..20_u32,
    ) {
        let releases = run(&smollm(), &ids, &stops, min);
        let mut shown = 0;
        for release in &releases {
            prop_assert_eq!(release.offset, shown);
            shown += release.text.len();
        }
        prop_assert_eq!(releases.last().map(|release| release.held_back), Some(0));
    }

    #[test]
    fn a_continuation_shows_what_the_first_stream_would_have(
        ids in any_ids(), stops in any_stops(), min in 0..20_u32, at in 0..40_usize,
    ) {
        let tokenizer = smollm();
        let at = at.min(ids.len());
        let mut continued = Detokenizer::new(Arc::clone(&tokenizer), &stops, min);
        continued.replay(&ids[..at]).unwrap();
        let mut rest: Vec<Release> = ids[at..].iter().map(|id| continued.push(*id).unwrap()).collect();
        rest.push(continued.finish());
        prop_assert_eq!(&rest[..], &run(&tokenizer, &ids, &stops, min)[at..]);
    }

    #[test]
    fn text_is_the_same_however_it_was_cut_into_tokens(text in "[ab<>é€ helowrd]{0,30}", stops in any_stops()) {
        let tokenizer = smollm();
        let merged = tokenizer.encode(&text, EncodeOptions::WORDS).unwrap();
        let one = texts(&run(&tokenizer, &merged, &stops, 0)).concat();
        prop_assert_eq!(one, texts(&run(&tokenizer, &spell(&text), &stops, 0)).concat());
    }
}
