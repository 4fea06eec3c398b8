//! The default model in the hands of a test: its file, its tokenizer, and the texts of `data/texts` as its tokens.

use std::path::Path;

use anyhow::{Context, Result};
use helixflow_engine::gguf::{GgufFile, Metadata};
use helixflow_model::TokenId;
use helixflow_text::{EncodeOptions, TokenType, Tokenizer, Vocabulary};

use crate::{full_counts, model_file, workspace_root};

/// Positions of each text that `make test` looks at: over four texts, more than the 600 that a sign test needs.
const SAMPLE: usize = 160;

/// A text in the default model's tokens.
#[derive(Clone, Debug)]
pub struct Text {
    /// The file's name without its ending.
    pub name: String,
    /// All tokens, or the first of them where a sample is enough.
    pub tokens: Vec<TokenId>,
}

/// Opens the model's file.
///
/// # Errors
/// When it is not there or not sound.
pub fn open() -> Result<GgufFile> {
    Ok(GgufFile::open(&model_file()?)?)
}

/// The vocabulary that the default model's metadata holds.
///
/// # Errors
/// When a key is missing or holds something else.
pub fn vocabulary(metadata: Metadata<'_>) -> Result<Vocabulary> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let texts = |name: &str| -> Result<Vec<String>> {
        metadata.strings(&key(name))?.map(|text| Ok(String::from_utf8(text.to_vec())?)).collect()
    };
    let id = |name: &str| -> Option<TokenId> {
        metadata.unsigned(&key(name)).ok().and_then(|id| u32::try_from(id).ok()).map(TokenId)
    };
    let types = metadata.signed_integers(&key("token_type"))?;
    Ok(Vocabulary {
        model: metadata.string(&key("model"))?.to_owned(),
        pre: metadata.string(&key("pre"))?.to_owned(),
        tokens: texts("tokens")?,
        token_types: types.map(|kind| TokenType::from_gguf(kind.into())).collect::<Result<_, _>>()?,
        merges: texts("merges")?,
        bos: id("bos_token_id"),
        eos: id("eos_token_id"),
        unk: id("unknown_token_id"),
        add_bos: metadata.boolean(&key("add_bos_token")).ok(),
        add_space_prefix: metadata.boolean(&key("add_space_prefix")).ok(),
        chat_template: Some(metadata.string("tokenizer.chat_template")?.to_owned()),
        ..Vocabulary::default()
    })
}

/// Every text of `data/texts`: in full where [`full_counts`] says so, else a sample of each.
///
/// # Errors
/// When a file cannot be read or turned into tokens.
pub fn texts(tokenizer: &Tokenizer) -> Result<Vec<Text>> {
    let folder = workspace_root().join("tests/data/texts");
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            texts.push(text(&path, tokenizer)?);
        }
    }
    texts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(texts)
}

#[expect(clippy::disallowed_methods, reason = "a test reads its data from the tree")]
fn text(path: &Path, tokenizer: &Tokenizer) -> Result<Text> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut tokens = tokenizer.encode(&text, EncodeOptions::PROMPT)?;
    if !full_counts() {
        tokens.truncate(SAMPLE);
    }
    Ok(Text { name, tokens })
}
