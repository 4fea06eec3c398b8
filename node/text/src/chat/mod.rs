//! Chats: messages in, one prompt out, by the template that the model's file carries.
//!
//! What people write must not steer the model: a message that spells `<|im_end|>` stays words. [`ChatPrompt`] keeps
//! the template's text and the messages' text apart until [`crate::Tokenizer::encode_chat`] has found the control
//! tokens.

mod environment;
mod json;
mod marks;
mod prompt;
mod template;

pub use prompt::{ChatPrompt, Message, RenderTime};
pub use template::{ChatError, ChatTemplate, MAX_MESSAGES, MAX_TEMPLATE_BYTES};
