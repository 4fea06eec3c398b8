//! The alphabet of byte-level BPE: each byte as one printable character.
//!
//! GPT-2's encoder gave the 188 printable bytes of Latin-1 themselves, and the other 68, in order, the characters
//! from U+0100 on. Vocabularies and merges are written in it.

use std::collections::BTreeMap;

/// Where the bytes that are not printable go.
const FIRST_SUBSTITUTE: u32 = 0x100;

/// Both directions of the alphabet.
pub(crate) struct ByteAlphabet {
    bytes: BTreeMap<char, u8>,
}

impl ByteAlphabet {
    pub(crate) fn new() -> Self {
        let mut bytes = BTreeMap::new();
        let mut substitutes = FIRST_SUBSTITUTE..;
        for byte in 0..=u8::MAX {
            let code = if is_printable(byte) { Some(u32::from(byte)) } else { substitutes.next() };
            if let Some(letter) = code.and_then(char::from_u32) {
                bytes.insert(letter, byte);
            }
        }
        Self { bytes }
    }

    /// The bytes that a token's text stands for. A character outside the alphabet stands for itself.
    pub(crate) fn decode(&self, text: &str) -> Vec<u8> {
        let mut decoded = Vec::with_capacity(text.len());
        for letter in text.chars() {
            match self.bytes.get(&letter) {
                Some(byte) => decoded.push(*byte),
                None => decoded.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        decoded
    }
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let alphabet = ByteAlphabet::new();
        let mut bytes: Vec<u8> = alphabet.bytes.values().copied().collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=u8::MAX).collect::<Vec<_>>());
    }

    #[test]
    fn a_space_and_a_newline_are_the_letters_that_vocabularies_show() {
        let alphabet = ByteAlphabet::new();
        assert_eq!(alphabet.decode("ĠtheĊ"), b" the\n");
        assert_eq!(alphabet.decode("Ã©"), "é".as_bytes());
        assert_eq!(alphabet.decode("日"), "日".as_bytes());
    }
}
