//! Byte-level BPE by the `tokenizers` crate: GPT-2's scheme with the two ways of splitting words that are served.
//!
//! Special tokens are cut out before text comes here, so the library sees plain text only and adds nothing.

use ahash::AHashMap;
use helixflow_model::TokenId;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

use crate::vocabulary::{Vocabulary, VocabularyError};

/// Each digit, and anything else that Unicode calls a number, stands alone.
const DIGIT: &str = r"\p{N}";
/// GPT-2's split, from its published encoder.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Llama 3's split, from its published tokenizer, with the cases of the contractions written out as llama.cpp
/// does: `(?i)` would also take the long s, U+017F.
const LLAMA3: &str = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// How text is split into words before merging: the supported values of `tokenizer.ggml.pre`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WordSplit {
    /// SmolLM: digits alone, then GPT-2's split.
    SmolLm,
    /// Llama 3; a word that is a token is not merged but taken whole.
    Llama3,
}

impl WordSplit {
    pub(crate) fn by_name(pre: &str) -> Result<Self, VocabularyError> {
        match pre {
            "smollm" => Ok(Self::SmolLm),
            "llama-bpe" => Ok(Self::Llama3),
            other => Err(VocabularyError::UnsupportedPre(other.to_owned())),
        }
    }

    fn patterns(self) -> &'static [&'static str] {
        match self {
            Self::SmolLm => &[DIGIT, GPT2],
            Self::Llama3 => &[LLAMA3],
        }
    }
}

/// Encodes plain text. Bytes that no token stands for are left out, as llama.cpp leaves them out.
pub(crate) struct ByteLevelBpe {
    inner: tokenizers::Tokenizer,
}

impl ByteLevelBpe {
    pub(crate) fn new(vocabulary: &Vocabulary, split: WordSplit) -> Result<Self, VocabularyError> {
        let ids = plain_tokens(vocabulary);
        let merges = merges(vocabulary, &ids)?;
        let model = BPE::builder()
            .vocab_and_merges(ids, merges)
            .ignore_merges(split == WordSplit::Llama3)
            .build()
            .map_err(VocabularyError::Library)?;
        let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
        for pattern in split.patterns() {
            let pattern = SplitPattern::Regex((*pattern).to_owned());
            let step = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
            steps.push(step.map_err(VocabularyError::Library)?.into());
        }
        steps.push(ByteLevel::new(false, false, false).into());
        let mut inner = tokenizers::Tokenizer::new(model);
        inner.with_pre_tokenizer(Some(Sequence::new(steps)));
        Ok(Self { inner })
    }

    pub(crate) fn encode(&self, text: &str, output: &mut Vec<TokenId>) -> Result<(), tokenizers::Error> {
        let encoding = self.inner.encode_fast(text, false)?;
        output.extend(encoding.get_ids().iter().copied().map(TokenId));
        Ok(())
    }
}

/// The tokens that plain text may become. Control tokens are not among them, so that no word of a user's text
/// is one, whatever it spells.
fn plain_tokens(vocabulary: &Vocabulary) -> AHashMap<String, u32> {
    let texts = vocabulary.tokens.iter().enumerate();
    let plain = texts.filter(|(id, text)| !text.is_empty() && !vocabulary.token_type(*id).is_hidden());
    plain.filter_map(|(id, text)| Some((text.clone(), u32::try_from(id).ok()?))).collect()
}

/// Reads the merges. The library takes for granted that the sum of both halves is a token, so it is checked here.
fn merges(
    vocabulary: &Vocabulary,
    plain: &AHashMap<String, u32>,
) -> Result<Vec<(String, String)>, VocabularyError> {
    let mut merges = Vec::with_capacity(vocabulary.merges.len());
    for (index, text) in vocabulary.merges.iter().enumerate() {
        let wrong = || VocabularyError::Merge { index, text: text.clone() };
        let (left, right) = text.split_once(' ').ok_or_else(wrong)?;
        let known = |text: &str| plain.contains_key(text);
        if !known(left) || !known(right) || !known(&format!("{left}{right}")) {
            return Err(wrong());
        }
        merges.push((left.to_owned(), right.to_owned()));
    }
    Ok(merges)
}
