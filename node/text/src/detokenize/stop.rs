//! Stop strings: which one is complete first, and how much of a text's end may still become one.

/// The stop strings of a request.
pub(crate) struct StopStrings {
    strings: Vec<String>,
}

/// A stop string in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundStop {
    /// Which one, by its place in the request.
    pub(crate) stop: usize,
    /// Where it begins, in bytes.
    pub(crate) start: usize,
    /// One past its last byte.
    end: usize,
}

impl StopStrings {
    pub(crate) fn new(strings: &[String]) -> Self {
        Self { strings: strings.to_vec() }
    }

    /// The stop string that is complete first, of those that end after the byte `too_early`; of two that end
    /// together, the longer. So the result does not depend on how the text was cut into tokens.
    pub(crate) fn find(&self, text: &str, too_early: usize) -> Option<FoundStop> {
        let found = self.real().filter_map(|(stop, string)| {
            let from = text.ceil_char_boundary((too_early + 1).saturating_sub(string.len()));
            let start = from + text.get(from..)?.find(string)?;
            Some(FoundStop { stop, start, end: start + string.len() })
        });
        found.min_by_key(|found| (found.end, found.start))
    }

    /// Bytes at the end of `text` that a stop string could begin with.
    pub(crate) fn unfinished(&self, text: &str) -> usize {
        let longest = self.real().filter_map(|(_, string)| {
            let mut longest_first = string.char_indices().map(|(end, _)| end).rev().filter(|end| *end > 0);
            longest_first.find(|end| text.ends_with(string.get(..*end).unwrap_or(string)))
        });
        longest.max().unwrap_or(0)
    }

    fn real(&self) -> impl Iterator<Item = (usize, &str)> {
        self.strings.iter().map(String::as_str).enumerate().filter(|(_, string)| !string.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(strings: &[&str]) -> StopStrings {
        StopStrings { strings: strings.iter().map(|string| (*string).to_owned()).collect() }
    }

    #[test]
    fn the_stop_string_that_is_complete_first_counts() {
        let found = stops(&["bcd", "c"]).find("abcd", 0);
        assert_eq!(found, Some(FoundStop { stop: 1, start: 2, end: 3 }));
        let together = stops(&["c", "bc"]).find("abcd", 0);
        assert_eq!(together, Some(FoundStop { stop: 1, start: 1, end: 3 }));
    }

    #[test]
    fn a_stop_string_that_ends_too_early_is_passed_over() {
        assert_eq!(stops(&["aa"]).find("aaa", 2), Some(FoundStop { stop: 0, start: 1, end: 3 }));
        assert_eq!(stops(&["aa"]).find("aab", 2), None);
        assert_eq!(stops(&["é"]).find("éxé", 2).map(|found| found.start), Some(3));
    }

    #[test]
    fn the_longest_possible_beginning_is_unfinished() {
        let stops = stops(&["<|end|>", "end of it"]);
        assert_eq!(stops.unfinished("x<|end"), 5);
        assert_eq!(stops.unfinished("the e"), 1);
        assert_eq!(stops.unfinished("x<|end|>"), 0);
        assert_eq!(stops.unfinished(""), 0);
    }
}
