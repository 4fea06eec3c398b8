//! Renders a chat by the model's own template, and refuses what the template cannot say.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;

use minijinja::{Environment, ErrorKind, Value, context};

use super::environment::{Raised, TIME_VARIABLE, environment};
use super::marks;
use super::prompt::{ChatPrompt, Message, RenderTime};
use crate::tokenizer::{MAX_TEXT_BYTES, Tokenizer};

/// Longest source of a template, in bytes; the longest published ones, with tools, have about 20 KiB.
pub const MAX_TEMPLATE_BYTES: usize = 256 << 10;
/// Most messages in a chat: more turns than any context holds.
pub const MAX_MESSAGES: usize = 4096;
/// Longest name of a role, in bytes.
const MAX_ROLE_BYTES: usize = 32;
const NAME: &str = "chat";

/// A chat that cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The template is longer than [`MAX_TEMPLATE_BYTES`].
    #[error(
        "the model's chat template has {0} bytes, more than {MAX_TEMPLATE_BYTES}: use another model file"
    )]
    TemplateTooLong(usize),
    /// The template is no Jinja that can be read.
    #[error(
        "the model's chat template cannot be read: use another model file, or Generate without a template"
    )]
    Syntax(#[source] minijinja::Error),
    /// There is nothing to answer.
    #[error("the chat has no messages: send at least one")]
    NoMessages,
    /// More than [`MAX_MESSAGES`].
    #[error("the chat has {0} messages, more than {MAX_MESSAGES}: leave out the oldest")]
    TooManyMessages(usize),
    /// More text than the tokenizer takes at once.
    #[error("the messages have {0} bytes together, more than {MAX_TEXT_BYTES}: leave out the oldest")]
    TooLong(usize),
    /// A role's name is not a name.
    #[error("the role of message {index} must be 1 to 32 letters, digits, '_' or '-', as in \"user\"")]
    RoleName {
        /// Which message, from 0.
        index: usize,
    },
    /// The template leaves messages of this role out.
    #[error("the model's chat template has no place for the role {0:?}: use system, user or assistant")]
    UnknownRole(String),
    /// The template raised an exception.
    #[error("the model's chat template refuses these messages: {0}")]
    Refused(String),
    /// The template asked for more work than a rendering may cost.
    #[error("the model's chat template takes too much work for these messages: send fewer or shorter ones")]
    Exhausted,
    /// The template failed.
    #[error(
        "the model's chat template failed on these messages: send others, or use Generate without a template"
    )]
    Failed(#[source] minijinja::Error),
}

/// A model's chat template. Made once, shared by all requests.
pub struct ChatTemplate {
    environment: Environment<'static>,
    control: Vec<String>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Reads a template; `tokenizer` is the same model's.
    pub fn new(source: &str, tokenizer: &Tokenizer) -> Result<Self, ChatError> {
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(ChatError::TemplateTooLong(source.len()));
        }
        let mut environment = environment().map_err(ChatError::Syntax)?;
        environment.add_template_owned(NAME, source.to_owned()).map_err(ChatError::Syntax)?;
        let text = |id| tokenizer.text(id).unwrap_or_default().to_owned();
        Ok(Self {
            environment,
            control: tokenizer.specials().hidden_texts().map(str::to_owned).collect(),
            bos: tokenizer.bos().map(text).unwrap_or_default(),
            eos: tokenizer.eos().map(text).unwrap_or_default(),
        })
    }

    /// Renders a chat up to where the assistant speaks.
    pub fn render(&self, messages: &[Message], time: RenderTime) -> Result<ChatPrompt, ChatError> {
        check(messages)?;
        let bytes = messages.iter().map(|message| message.content.len()).sum();
        let mark = marks::free_mark(messages).ok_or(ChatError::TooLong(bytes))?;
        let guarded: Vec<Message> = messages
            .iter()
            .map(|message| {
                let control = self.control.iter().map(String::as_str);
                Message::new(message.role.as_str(), marks::guard(&message.content, control, mark))
            })
            .collect();
        let marked = self.render_text(&guarded, time)?;
        self.refuse_unheard(&guarded, mark, &marked, time)?;
        Ok(ChatPrompt::new(marked, mark))
    }

    fn render_text(&self, messages: &[Message], time: RenderTime) -> Result<String, ChatError> {
        let message = |message: &Message| context! { role => &message.role, content => &message.content };
        let variables: BTreeMap<&str, Value> = BTreeMap::from([
            ("messages", messages.iter().map(message).collect()),
            ("add_generation_prompt", Value::from(true)),
            ("bos_token", Value::from(self.bos.as_str())),
            ("eos_token", Value::from(self.eos.as_str())),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
            (TIME_VARIABLE, Value::from(time.0)),
        ]);
        let template = self.environment.get_template(NAME).map_err(ChatError::Failed)?;
        template.render(variables).map_err(explain)
    }

    /// Refuses roles that the template passes over in silence: the prompt is the same whatever they say.
    fn refuse_unheard(
        &self,
        messages: &[Message],
        mark: char,
        rendered: &str,
        time: RenderTime,
    ) -> Result<(), ChatError> {
        let roles: BTreeSet<&str> = messages.iter().map(|message| message.role.as_str()).collect();
        for role in roles {
            let mut changed = messages.to_vec();
            for message in changed.iter_mut().filter(|message| message.role == role) {
                message.content.push(mark);
            }
            if self.render_text(&changed, time).is_ok_and(|other| other == rendered) {
                return Err(ChatError::UnknownRole(role.to_owned()));
            }
        }
        Ok(())
    }
}

/// What every template relies on. A role goes into the prompt beside control tokens, so it must be a plain name.
fn check(messages: &[Message]) -> Result<(), ChatError> {
    if messages.is_empty() {
        return Err(ChatError::NoMessages);
    }
    if messages.len() > MAX_MESSAGES {
        return Err(ChatError::TooManyMessages(messages.len()));
    }
    let bytes = messages.iter().map(|message| message.content.len()).sum();
    if bytes > MAX_TEXT_BYTES {
        return Err(ChatError::TooLong(bytes));
    }
    match messages.iter().position(|message| !is_name(&message.role)) {
        Some(index) => Err(ChatError::RoleName { index }),
        None => Ok(()),
    }
}

fn is_name(role: &str) -> bool {
    (1..=MAX_ROLE_BYTES).contains(&role.len())
        && role.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Tells a refusal by the template, and its running out of fuel, from other failures.
fn explain(error: minijinja::Error) -> ChatError {
    if error.kind() == ErrorKind::OutOfFuel {
        return ChatError::Exhausted;
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(Raised(message)) = inner.downcast_ref() {
            return ChatError::Refused(message.clone());
        }
        cause = inner.source();
    }
    ChatError::Failed(error)
}
