//! One request of the Open Inference Protocol, run on the native path.

use std::collections::BTreeMap;

use futures::{Stream, TryStreamExt, stream};
use helixflow_proto::context::CallContext;
use helixflow_proto::error::invalid;
use helixflow_proto::inference::{ModelInferRequest, ModelInferResponse};
use helixflow_proto::v1::shard_generate_request::Prompt;
use tonic::Status;

use super::parameters::Parameters;
use super::reply::{Replies, check_requested};
use super::tensors::{self, Inputs};
use crate::gateway::dispatch::Target;
use crate::gateway::inference::{Inference, target};

/// A request that was read and holds nothing unknown.
pub(super) struct InferRequest {
    target: Target,
    id: String,
    inputs: Inputs,
    parameters: Parameters,
}

/// Reads a request; what is not served is refused by name.
pub(super) fn read(request: ModelInferRequest) -> Result<InferRequest, Status> {
    let mut parameters = Parameters::default();
    let inputs = tensors::read(&request, &mut parameters)?;
    // In one order, so that the same request is always refused for the same parameter.
    for (name, parameter) in request.parameters.into_iter().collect::<BTreeMap<_, _>>() {
        parameters.set_typed(&name, parameter)?;
    }
    check_requested(&request.outputs, &inputs, &parameters)?;
    let target = target(request.model_name, request.model_version, "")?;
    Ok(InferRequest { target, id: request.id, inputs, parameters })
}

impl InferRequest {
    /// Refuses what would take several replies.
    pub(super) fn expect_one_reply(&self) -> Result<(), Status> {
        if self.inputs.stream || self.parameters.empty_final {
            let message = "ModelInfer gives one reply: use ModelStreamInfer, or leave out `stream` and the empty final reply";
            return Err(invalid("stream", message));
        }
        Ok(())
    }

    /// Starts it on some replica; dropping the replies ends it there.
    pub(super) async fn start(
        self,
        inference: &Inference,
        context: &CallContext,
    ) -> Result<impl Stream<Item = Result<ModelInferResponse, Status>> + use<>, Status> {
        let Self { target, id, inputs, parameters } = self;
        let Parameters { sampling, seed, empty_final } = parameters;
        let prompt = Prompt::Text(inputs.text.clone());
        let mut replies = Replies::new(&target.model, id, inputs, sampling.logprobs.is_some(), empty_final);
        let relay = inference.run(&target, prompt, Some(sampling), seed, context).await?;
        let of_message = move |message| stream::iter(replies.take(message).into_iter().map(Ok));
        Ok(relay.map_ok(of_message).try_flatten())
    }
}
