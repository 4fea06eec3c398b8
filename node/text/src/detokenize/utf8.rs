//! UTF-8 in pieces: gives out whole characters and keeps what may still become one.

/// The character that stands for bytes that are none.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Decodes bytes as they come. The result is that of `String::from_utf8_lossy` on all of them at once.
#[derive(Default)]
pub(crate) struct Utf8Decoder {
    /// The beginning of a character: at most 3 bytes between calls.
    partial: Vec<u8>,
}

impl Utf8Decoder {
    /// Appends the characters that `bytes` complete.
    pub(crate) fn push(&mut self, bytes: &[u8], text: &mut String) {
        self.partial.extend_from_slice(bytes);
        let mut rest = self.partial.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    let Some(bad) = error.error_len() else { break };
                    text.push(REPLACEMENT);
                    rest = after.get(bad..).unwrap_or_default();
                }
            }
        }
        self.partial = rest.to_vec();
    }

    /// Nothing more comes: what was kept is no character.
    pub(crate) fn finish(&mut self, text: &mut String) {
        if !self.partial.is_empty() {
            self.partial.clear();
            text.push(REPLACEMENT);
        }
    }

    /// Number of bytes kept.
    pub(crate) fn held_back(&self) -> usize {
        self.partial.len()
    }
}
