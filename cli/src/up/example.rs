//! The first words: one example prompt, answered as it streams, and what to try next.

use std::path::Path;

use helixflow_client::{Client, ClientOptions};
use helixflow_env::Env;
use helixflow_model::ModelId;
use helixflow_proto::v1::{ChatMessage, ChatRequest, Sampling};

use super::layout::Layout;
use crate::data_dir;
use crate::generate::{Printer, follow};

/// What the model is asked.
const QUESTION: &str = "Why is the sky blue?";
/// How long its answer may be.
const ANSWER_TOKENS: u32 = 96;

/// Asks the model through a coordinator and shows the answer as it comes.
pub(crate) async fn show(env: &Env, layout: &Layout, model: &ModelId) -> anyhow::Result<()> {
    let client = Client::new(env, &layout.endpoints(), ClientOptions::default())?;
    println!("\n> {QUESTION}");
    let request = ChatRequest {
        model: model.to_string(),
        messages: vec![ChatMessage { role: "user".to_owned(), content: QUESTION.to_owned() }],
        sampling: Some(Sampling { max_tokens: Some(ANSWER_TOKENS), ..Default::default() }),
        ..Default::default()
    };
    follow(client.chat(request).await?, &mut Printer::to_stdout()).await?;
    Ok(())
}

/// Endpoints, and three commands to try.
pub(crate) fn next_steps(layout: &Layout, model: &ModelId, data_dir: &Path) {
    let program = std::env::args().next().unwrap_or_else(|| "helixflow".to_owned());
    let place = if data_dir == data_dir::default_path() { String::new() } else { format!(" --data-dir {}", data_dir.display()) };
    println!("\n{model} is served by {} nodes behind {} coordinators:", layout.nodes.len(), layout.coordinators.len());
    for coordinator in &layout.coordinators {
        println!("  {:16} gRPC {}   metrics http://{}/metrics", coordinator.name(), coordinator.grpc, coordinator.http);
    }
    println!("\nTry, in another terminal:");
    println!("  {program} generate{place} \"The capital of France is\"");
    println!("  {program} chat{place}");
    println!("  {program} status{place}");
    println!("\nCtrl-C stops the cluster; the same command brings it back.");
}
