//! One request of the Open Inference Protocol, run on the native path.

use futures::StreamExt;
use helixflow_proto::context::CallContext;
use helixflow_proto::inference::{ModelInferRequest, ModelInferResponse};
use helixflow_proto::v1::generate_response::Event;
use helixflow_proto::v1::shard_generate_request::Prompt;
use tokio::sync::mpsc::Sender;
use tonic::Status;

use super::parameters::Wish;
use super::reply::{Ending, Replies, check_requested};
use super::tensors;
use crate::gateway::inference::{Inference, target};

/// Runs a request and sends its replies; an error is the caller's to tell.
pub(super) async fn run(
    inference: &Inference,
    request: ModelInferRequest,
    context: &CallContext,
    replies: &Sender<ModelInferResponse>,
) -> Result<(), Status> {
    let mut wish = Wish::default();
    let inputs = tensors::read(&request, &mut wish)?;
    check_requested(&request.outputs, &inputs)?;
    for (name, parameter) in request.parameters {
        wish.parameter(&name, parameter)?;
    }
    let target = target(request.model_name, request.model_version, "")?;
    let prompt = Prompt::Text(inputs.text.clone());
    let mut relay = inference.run(&target, prompt, Some(wish.sampling), wish.seed, context).await?;

    let mut text = if inputs.echo { inputs.text.clone() } else { String::new() };
    let mut ending = Ending::default();
    let mut made =
        Replies { model: target.model.to_string(), version: String::new(), id: request.id, inputs };
    while let Some(message) = relay.next().await {
        match message?.event {
            Some(Event::Start(start)) => made.version = start.model_version,
            Some(Event::Chunk(chunk)) => {
                text.push_str(&chunk.text);
                if made.inputs.stream && !text.is_empty() {
                    send(replies, made.piece(&std::mem::take(&mut text))).await?;
                }
            }
            Some(Event::ChoiceEnd(end)) => ending.finish_reason = end.reason(),
            Some(Event::End(end)) => {
                let usage = end.usage.unwrap_or_default();
                (ending.input_tokens, ending.output_tokens) = (usage.prompt_tokens, usage.generated_tokens);
            }
            None => {}
        }
    }
    send(replies, made.last(&text, ending)).await?;
    if wish.empty_final {
        send(replies, made.empty_final()).await?;
    }
    Ok(())
}

/// A client that went away takes no more replies, and the request ends with the relay.
async fn send(replies: &Sender<ModelInferResponse>, reply: ModelInferResponse) -> Result<(), Status> {
    replies.send(reply).await.map_err(|_| Status::cancelled("the client went away"))
}
