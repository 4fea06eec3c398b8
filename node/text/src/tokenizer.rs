//! The tokenizer: text to ids and back, for both kinds of vocabulary.
//!
//! Text comes as bytes or as `str`; bytes that are not UTF-8 are refused with the offset of the first bad one.

use std::collections::BTreeSet;

use helixflow_model::TokenId;

use crate::byte_level::{ByteLevelBpe, WordSplit};
use crate::chat::ChatPrompt;
use crate::pieces::{Pieces, Scheme, UnknownToken};
use crate::sentence_piece::{self, SentencePiece};
use crate::specials::{Fragment, Recognise, SpecialTokens};
use crate::vocabulary::{Vocabulary, VocabularyError};

/// Longest text that is tokenized at once, in bytes: more than twice what the longest context of a supported
/// model (131,072 tokens) holds in English, and short enough that the worst of texts takes a few seconds.
pub const MAX_TEXT_BYTES: usize = 2 << 20;

/// Names of control tokens that end an answer although the file need not say so: those that llama.cpp also takes
/// for ends, of the model families served here.
const END_NAMES: [&str; 9] = [
    "</s>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|end|>",
    "<end_of_turn>",
    "<EOT>",
];

/// How text becomes ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Put `bos` before and `eos` behind where the vocabulary asks for it.
    pub add_special: bool,
    /// Take `<|im_end|>` and the like for the control tokens that they spell. User-defined tokens, which are words
    /// and steer nothing, are recognised always.
    pub parse_special: bool,
}

impl EncodeOptions {
    /// A whole prompt, as `Generate` takes it: its author writes everything that the model sees, control tokens
    /// included. Whoever puts other people's words into a prompt uses a chat, where they stay words.
    pub const PROMPT: Self = Self { add_special: true, parse_special: true };
    /// Words and nothing else: whatever they spell, no control token comes of them.
    pub const WORDS: Self = Self { add_special: false, parse_special: false };
}

/// A text that cannot be tokenized.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Not UTF-8.
    #[error("the text is not valid UTF-8 at byte {offset}: send text encoded as UTF-8")]
    NotUtf8 {
        /// Where the first bad byte is.
        offset: usize,
    },
    /// Longer than [`MAX_TEXT_BYTES`].
    #[error("the text is {bytes} bytes long, more than {MAX_TEXT_BYTES}: send less at once")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The tokenizer library failed.
    #[error("the text could not be tokenized: report it with the model's name")]
    Library(#[source] tokenizers::Error),
}

enum Encoder {
    ByteLevel(Box<ByteLevelBpe>),
    SentencePiece { pieces: SentencePiece, space_prefix: bool },
}

/// Text to ids and back, by one model's vocabulary. Made once, shared by all requests.
pub struct Tokenizer {
    encoder: Encoder,
    specials: SpecialTokens,
    pieces: Pieces,
    texts: Vec<String>,
    bos: Option<TokenId>,
    eos: Option<TokenId>,
    begin: Option<TokenId>,
    end: Option<TokenId>,
    ends: BTreeSet<TokenId>,
}

impl Tokenizer {
    /// Checks a vocabulary and builds its tokenizer. What the file leaves out is as llama.cpp assumes it.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self, VocabularyError> {
        vocabulary.validate()?;
        let (encoder, scheme, defaults) = match vocabulary.model.as_str() {
            "gpt2" => {
                let split = WordSplit::by_name(&vocabulary.pre)?;
                let bpe = ByteLevelBpe::new(vocabulary, split)?;
                (Encoder::ByteLevel(Box::new(bpe)), Scheme::ByteLevel, Defaults::byte_level(split))
            }
            "llama" => {
                let defaults = Defaults::sentence_piece(vocabulary);
                let unknown = vocabulary.unk.or(defaults.unk).unwrap_or_default();
                let pieces = SentencePiece::new(vocabulary, unknown);
                let space_prefix = vocabulary.add_space_prefix.unwrap_or(true);
                (Encoder::SentencePiece { pieces, space_prefix }, Scheme::SentencePiece, defaults)
            }
            other => return Err(VocabularyError::UnsupportedModel(other.to_owned())),
        };
        let bos = vocabulary.bos.or(defaults.bos);
        let eos = vocabulary.eos.or(defaults.eos);
        let add_bos = vocabulary.add_bos.unwrap_or(defaults.add_bos);
        let add_eos = vocabulary.add_eos.unwrap_or(false);
        Ok(Self {
            encoder,
            specials: SpecialTokens::new(vocabulary),
            pieces: Pieces::new(vocabulary, scheme),
            texts: vocabulary.tokens.clone(),
            bos,
            eos,
            begin: wanted(add_bos, bos, "tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id")?,
            end: wanted(add_eos, eos, "tokenizer.ggml.add_eos_token", "tokenizer.ggml.eos_token_id")?,
            ends: ends(vocabulary, eos),
        })
    }

    /// Text to ids.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Result<Vec<TokenId>, EncodeError> {
        refuse_too_long(text.len())?;
        let recognise = if options.parse_special { Recognise::All } else { Recognise::UserDefined };
        let mut ids = Vec::new();
        if options.add_special {
            ids.extend(self.begin);
        }
        self.encode_fragments(&self.specials.split(text, recognise), &mut ids)?;
        if options.add_special {
            ids.extend(self.end);
        }
        Ok(ids)
    }

    /// Bytes to ids; refuses what is not UTF-8.
    pub fn encode_bytes(&self, text: &[u8], options: EncodeOptions) -> Result<Vec<TokenId>, EncodeError> {
        refuse_too_long(text.len())?;
        let text = std::str::from_utf8(text)
            .map_err(|error| EncodeError::NotUtf8 { offset: error.valid_up_to() })?;
        self.encode(text, options)
    }

    /// A rendered chat to ids: the template's control tokens are recognised, those in the messages stay words.
    ///
    /// Begins with `bos` where the vocabulary asks for it, unless the template wrote it.
    pub fn encode_chat(&self, prompt: &ChatPrompt) -> Result<Vec<TokenId>, EncodeError> {
        refuse_too_long(prompt.marked().len())?;
        let mut ids = Vec::new();
        for fragment in self.specials.split(prompt.marked(), Recognise::All) {
            match fragment {
                Fragment::Text(marked) if prompt.has_mark(marked) => {
                    let words = prompt.without_marks(marked);
                    self.encode_fragments(&self.specials.split(&words, Recognise::UserDefined), &mut ids)?;
                }
                whole => self.encode_fragments(&[whole], &mut ids)?,
            }
        }
        if let Some(bos) = self.begin.filter(|bos| ids.first() != Some(bos)) {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// Ids to text, all at once: bytes that are no UTF-8 become U+FFFD, control tokens have no text.
    ///
    /// SentencePiece's leading space is kept, so that an answer follows its prompt as the model wrote it.
    pub fn decode(&self, ids: &[TokenId]) -> Result<String, UnknownToken> {
        let mut bytes = Vec::new();
        for id in ids {
            bytes.extend_from_slice(self.piece(*id)?);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The bytes that a token stands for: perhaps a part of a character, and none for control tokens.
    pub fn piece(&self, id: TokenId) -> Result<&[u8], UnknownToken> {
        self.pieces.get(id)
    }

    /// A token as its vocabulary writes it, control tokens too: for logs and for people.
    pub fn text(&self, id: TokenId) -> Option<&str> {
        self.texts.get(id.0 as usize).map(String::as_str)
    }

    /// Number of tokens in the vocabulary.
    pub fn vocabulary_size(&self) -> usize {
        self.pieces.len()
    }

    /// The token that begins a sequence.
    pub fn bos(&self) -> Option<TokenId> {
        self.bos
    }

    /// The token that ends a sequence.
    pub fn eos(&self) -> Option<TokenId> {
        self.eos
    }

    /// The tokens that end an answer: end of sequence, end of turn, and control tokens known by name to do so.
    pub fn ends(&self) -> &BTreeSet<TokenId> {
        &self.ends
    }

    pub(crate) fn specials(&self) -> &SpecialTokens {
        &self.specials
    }

    fn encode_fragments(
        &self,
        fragments: &[Fragment<'_>],
        ids: &mut Vec<TokenId>,
    ) -> Result<(), EncodeError> {
        for fragment in fragments {
            match (fragment, &self.encoder) {
                (Fragment::Token(id), _) => ids.push(*id),
                (Fragment::Text(words), Encoder::ByteLevel(bpe)) => {
                    bpe.encode(words, ids).map_err(EncodeError::Library)?;
                }
                // Words follow a special token or nothing: each time SentencePiece puts its space before them.
                (Fragment::Text(words), Encoder::SentencePiece { pieces, space_prefix }) => {
                    let prefix = if *space_prefix { " " } else { "" };
                    pieces.encode(&sentence_piece::escape(&format!("{prefix}{words}")), ids);
                }
            }
        }
        Ok(())
    }
}

/// What llama.cpp assumes where the file is silent.
struct Defaults {
    bos: Option<TokenId>,
    eos: Option<TokenId>,
    unk: Option<TokenId>,
    add_bos: bool,
}

impl Defaults {
    fn byte_level(split: WordSplit) -> Self {
        Self { bos: None, eos: None, unk: None, add_bos: split == WordSplit::Llama3 }
    }

    /// SentencePiece's own order: unknown, beginning, end.
    fn sentence_piece(vocabulary: &Vocabulary) -> Self {
        let id = |id: u32| (vocabulary.tokens.len() > id as usize).then_some(TokenId(id));
        Self { bos: id(1), eos: id(2), unk: id(0), add_bos: true }
    }
}

fn wanted(
    flag: bool,
    id: Option<TokenId>,
    flag_key: &'static str,
    id_key: &'static str,
) -> Result<Option<TokenId>, VocabularyError> {
    match (flag, id) {
        (false, _) => Ok(None),
        (true, Some(id)) => Ok(Some(id)),
        (true, None) => Err(VocabularyError::MissingId { flag: flag_key, id: id_key }),
    }
}

fn ends(vocabulary: &Vocabulary, eos: Option<TokenId>) -> BTreeSet<TokenId> {
    let named = (0..).zip(&vocabulary.tokens).filter(|(id, text)| {
        vocabulary.token_type(*id as usize).is_hidden() && END_NAMES.contains(&text.as_str())
    });
    named.map(|(id, _)| TokenId(id)).chain(eos).chain(vocabulary.eot).collect()
}

fn refuse_too_long(bytes: usize) -> Result<(), EncodeError> {
    if bytes > MAX_TEXT_BYTES { Err(EncodeError::TooLong { bytes }) } else { Ok(()) }
}
