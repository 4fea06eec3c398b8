//! The text half of a model, made of what its GGUF file says: tokenizer and chat template.

use std::sync::Arc;

use helixflow_engine::gguf::{GgufError, Metadata, Strings};
use helixflow_model::TokenId;
use helixflow_text::{
    ChatError, ChatTemplate, TokenType, Tokenizer, UnknownTokenType, Vocabulary, VocabularyError,
};

/// Text in and out of one model.
pub(crate) struct ModelText {
    pub(crate) tokenizer: Arc<Tokenizer>,
    /// None when the file has no chat template: it continues prompts and does not chat.
    pub(crate) template: Option<ChatTemplate>,
}

/// A model whose text cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TextError {
    #[error(transparent)]
    File(#[from] GgufError),
    #[error("token {0} is not UTF-8; convert the model again with a current converter")]
    NotUtf8(usize),
    #[error(transparent)]
    TokenType(#[from] UnknownTokenType),
    #[error("the vocabulary cannot be used")]
    Vocabulary(#[from] VocabularyError),
    #[error("the chat template cannot be used")]
    Template(#[source] ChatError),
}

impl ModelText {
    /// Reads vocabulary and chat template.
    pub(crate) fn read(metadata: Metadata<'_>) -> Result<Self, TextError> {
        let vocabulary = vocabulary(metadata)?;
        let tokenizer = Tokenizer::new(&vocabulary)?;
        let template = vocabulary.chat_template.as_deref();
        let template = template.map(|source| ChatTemplate::new(source, &tokenizer)).transpose();
        Ok(Self { template: template.map_err(TextError::Template)?, tokenizer: Arc::new(tokenizer) })
    }
}

fn vocabulary(metadata: Metadata<'_>) -> Result<Vocabulary, TextError> {
    let id = |key| -> Result<Option<TokenId>, GgufError> {
        let id = optional(metadata.unsigned(key))?;
        Ok(id.and_then(|id| u32::try_from(id).ok()).map(TokenId))
    };
    let token_types = optional(metadata.signed_integers("tokenizer.ggml.token_type"))?;
    let token_types = token_types.into_iter().flatten().map(|kind| TokenType::from_gguf(i64::from(kind)));
    Ok(Vocabulary {
        model: metadata.string("tokenizer.ggml.model")?.to_owned(),
        pre: optional(metadata.string("tokenizer.ggml.pre"))?.unwrap_or_default().to_owned(),
        tokens: strings(metadata.strings("tokenizer.ggml.tokens")?)?,
        token_types: token_types.collect::<Result<_, _>>()?,
        scores: optional(metadata.floats("tokenizer.ggml.scores"))?.into_iter().flatten().collect(),
        merges: optional(metadata.strings("tokenizer.ggml.merges"))?.map_or(Ok(Vec::new()), strings)?,
        bos: id("tokenizer.ggml.bos_token_id")?,
        eos: id("tokenizer.ggml.eos_token_id")?,
        unk: id("tokenizer.ggml.unknown_token_id")?,
        eot: id("tokenizer.ggml.eot_token_id")?,
        add_bos: optional(metadata.boolean("tokenizer.ggml.add_bos_token"))?,
        add_eos: optional(metadata.boolean("tokenizer.ggml.add_eos_token"))?,
        add_space_prefix: optional(metadata.boolean("tokenizer.ggml.add_space_prefix"))?,
        chat_template: optional(metadata.string("tokenizer.chat_template"))?.map(str::to_owned),
    })
}

fn strings(strings: Strings<'_>) -> Result<Vec<String>, TextError> {
    let text = |(index, bytes): (usize, &[u8])| {
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| TextError::NotUtf8(index))
    };
    strings.enumerate().map(text).collect()
}

/// A key that may be missing; one of a wrong type is still an error.
fn optional<T>(found: Result<T, GgufError>) -> Result<Option<T>, GgufError> {
    match found {
        Ok(value) => Ok(Some(value)),
        Err(GgufError::MissingKey { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
