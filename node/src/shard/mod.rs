//! The bridge between a replica part as the actors know it and the engine: model file in, token messages out.
//!
//! ```text
//! host      fetches weights, loads them, tries them
//! replica   one loaded model: engine, text, health
//! prompt    what a request asks to be continued, as token ids
//! sink      on the engine's thread: tokens to text to messages, into a bounded channel
//! stream    on the runtime: messages to the client, the deadline, and the cancellation when the client goes away
//! ```

mod choice;
mod health;
mod host;
mod meter;
mod prompt;
mod replica;
mod sink;
mod stream;
mod text;

pub(crate) use host::NodeHost;
#[cfg(test)]
pub(crate) use meter::record_everything;
pub(crate) use prompt::Prompt;
pub(crate) use replica::{Job, ShardReplica};
pub(crate) use stream::TokenStream;
pub(crate) use text::ModelText;
