//! What a request asks to be continued, as token ids.
//!
//! Long texts are tokenized on a thread of their own, so that the streams of other requests go on meanwhile.

use std::sync::Arc;

use helixflow_model::TokenId;
use helixflow_proto::error::{Reason, invalid, invalid_because, status};
use helixflow_proto::v1;
use helixflow_proto::v1::shard_generate_request::Prompt as Wire;
use helixflow_text::{ChatError, EncodeError, EncodeOptions, Message, RenderTime};
use tonic::Status;

use super::text::ModelText;

/// Text up to this length is tokenized where it arrives: it takes about a millisecond, less than handing it over.
const SHORT_TEXT: usize = 4096;
/// Milliseconds in the unit of a chat template's clock.
const MILLIS: i64 = 1000;

/// A prompt, not yet tokenized.
pub(crate) enum Prompt {
    /// As it stands, with the text of control tokens taken for them or not.
    Text(String, EncodeOptions),
    /// Token ids.
    Tokens(Vec<TokenId>),
    /// A chat, and the time that its template may use.
    Chat(Vec<Message>, RenderTime),
}

impl Prompt {
    /// Of a request.
    pub(crate) fn read(wire: Option<Wire>, render_time_unix_ms: i64) -> Result<Self, Status> {
        match wire {
            None => Err(invalid("prompt", "the prompt is missing: give text, tokens or chat")),
            Some(Wire::Text(text)) => Ok(Self::Text(text, EncodeOptions::PROMPT)),
            Some(Wire::Tokens(v1::TokenIds { ids })) => {
                Ok(Self::Tokens(ids.into_iter().map(TokenId).collect()))
            }
            Some(Wire::Chat(v1::ChatPrompt { messages })) => {
                let message = |m: v1::ChatMessage| Message::new(m.role, m.content);
                let time = RenderTime(render_time_unix_ms.div_euclid(MILLIS));
                Ok(Self::Chat(messages.into_iter().map(message).collect(), time))
            }
        }
    }

    /// Its token ids by one model.
    pub(crate) async fn tokenize(self, text: &Arc<ModelText>) -> Result<Vec<TokenId>, Status> {
        if self.len() <= SHORT_TEXT {
            return self.encode(text);
        }
        let text = Arc::clone(text);
        #[expect(
            clippy::disallowed_methods,
            reason = "computes for up to a second; simulated prompts are short"
        )]
        let encoded = tokio::task::spawn_blocking(move || self.encode(&text)).await;
        let lost = |_| {
            status(Reason::Internal, "tokenizing the prompt failed; report this with the prompt's length")
        };
        encoded.map_err(lost)?
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text, _) => text.len(),
            Self::Tokens(_) => 0,
            Self::Chat(messages, _) => messages.iter().map(|message| message.content.len()).sum(),
        }
    }

    fn encode(self, text: &ModelText) -> Result<Vec<TokenId>, Status> {
        match self {
            Self::Tokens(ids) => Ok(ids),
            // Empty text stays an empty prompt, also where the vocabulary would put a first token before it.
            Self::Text(words, _) if words.is_empty() => Ok(Vec::new()),
            Self::Text(words, options) => text.tokenizer.encode(&words, options).map_err(|e| unencodable(&e)),
            Self::Chat(messages, time) => {
                let template = text.template.as_ref().ok_or_else(|| {
                    invalid("messages", "this model has no chat template: use Generate with a prompt of text")
                })?;
                let prompt = template.render(&messages, time).map_err(|e| unrenderable(&e))?;
                text.tokenizer.encode_chat(&prompt).map_err(|e| unencodable(&e))
            }
        }
    }
}

fn unencodable(error: &EncodeError) -> Status {
    match error {
        EncodeError::TooLong { .. } => invalid_because(Reason::PromptTooLong, "prompt", error.to_string()),
        EncodeError::NotUtf8 { .. } => invalid("prompt", error.to_string()),
        EncodeError::Library(_) => status(Reason::Internal, error.to_string()),
    }
}

fn unrenderable(error: &ChatError) -> Status {
    match error {
        ChatError::TooLong(_) => invalid_because(Reason::PromptTooLong, "messages", error.to_string()),
        _ => invalid("messages", error.to_string()),
    }
}
