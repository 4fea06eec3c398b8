//! The first words: one example prompt, answered as it streams.

use helixflow_client::{Client, ClientOptions};
use helixflow_env::Env;
use helixflow_model::ModelId;
use helixflow_proto::v1::{ChatMessage, ChatRequest, Sampling};

use super::layout::Layout;
use crate::generate::{Printer, follow};
use crate::terminal;

/// What the model is asked.
const QUESTION: &str = "Why is the sky blue?";
/// How long its answer may be.
const ANSWER_TOKENS: u32 = 96;

/// Asks the model through a coordinator and shows the answer as it comes.
pub(crate) async fn show(env: &Env, layout: &Layout, model: &ModelId) -> anyhow::Result<()> {
    let client = Client::new(env, &layout.endpoints(), ClientOptions::default())?;
    terminal::line(format_args!("\n> {QUESTION}"))?;
    let request = ChatRequest {
        model: model.to_string(),
        messages: vec![ChatMessage { role: "user".to_owned(), content: QUESTION.to_owned() }],
        sampling: Some(Sampling { max_tokens: Some(ANSWER_TOKENS), ..Default::default() }),
        ..Default::default()
    };
    follow(client.chat(request).await?, &mut Printer::to_stdout()).await?;
    Ok(())
}
