//! The native service: Generate, Chat, Tokenize. The gateway checks and routes; it never tokenizes.

use std::sync::Arc;

use helixflow_env::Env;
use helixflow_model::{ModelId, Sampling, StreamId};
use helixflow_proto::context::CallContext;
use helixflow_proto::error::{Reason, invalid, invalid_because, status};
use helixflow_proto::v1::generate_request::Prompt;
use helixflow_proto::v1::inference_service_server::InferenceService;
use helixflow_proto::v1::shard_generate_request::Prompt as ShardPrompt;
use helixflow_proto::v1::{
    ChatPrompt, ChatRequest, EmbedRequest, EmbedResponse, GenerateRequest, Sampling as WireSampling,
    ShardGenerateRequest, ShardTokenizeRequest, TokenizeRequest, TokenizeResponse,
};
use tonic::{Request, Response, Status};

use super::dispatch::{Dispatch, Target};
use super::stream::Relay;

/// Serves clients of `helixflow.v1`.
#[derive(Clone)]
pub(super) struct Inference {
    dispatch: Arc<Dispatch>,
    env: Env,
}

impl Inference {
    pub(super) fn new(dispatch: Arc<Dispatch>, env: Env) -> Self {
        Self { dispatch, env }
    }

    /// Runs a prompt on some replica. Whatever can be refused without the model is refused here.
    pub(super) async fn run(
        &self,
        target: &Target,
        prompt: ShardPrompt,
        sampling: Option<WireSampling>,
        seed: Option<u64>,
        context: &CallContext,
    ) -> Result<Relay, Status> {
        let sampling = Sampling::try_from(sampling.unwrap_or_default())?;
        let request = ShardGenerateRequest {
            fence: None,
            stream_id: StreamId::drawn(self.env.random.next_u64()).to_string(),
            prompt: Some(prompt),
            sampling: Some(sampling.into()),
            seed: seed.unwrap_or_else(|| self.env.random.next_u64()),
            render_time_unix_ms: self.env.wall_clock.now_unix_ms(),
            generated: Vec::new(),
            numerics_class: String::new(),
        };
        self.dispatch.generate(target, request, context).await
    }
}

#[tonic::async_trait]
impl InferenceService for Inference {
    type GenerateStream = Relay;
    type ChatStream = Relay;

    async fn generate(&self, request: Request<GenerateRequest>) -> Result<Response<Relay>, Status> {
        let context = CallContext::of(&request)?.clone();
        let request = request.into_inner();
        let target = target(request.model, request.version, &request.adapter)?;
        let prompt = match request.prompt {
            Some(Prompt::Text(text)) if !text.is_empty() => ShardPrompt::Text(text),
            Some(Prompt::Tokens(tokens)) if !tokens.ids.is_empty() => ShardPrompt::Tokens(tokens),
            _ => {
                return Err(invalid(
                    "prompt",
                    "the prompt is empty: give some text or token ids to continue",
                ));
            }
        };
        self.run(&target, prompt, request.sampling, request.seed, &context).await.map(Response::new)
    }

    async fn chat(&self, request: Request<ChatRequest>) -> Result<Response<Relay>, Status> {
        let context = CallContext::of(&request)?.clone();
        let request = request.into_inner();
        let target = target(request.model, request.version, &request.adapter)?;
        if request.messages.is_empty() {
            return Err(invalid("messages", "there is no message: give at least one with role \"user\""));
        }
        let prompt = ShardPrompt::Chat(ChatPrompt { messages: request.messages });
        self.run(&target, prompt, request.sampling, request.seed, &context).await.map(Response::new)
    }

    async fn tokenize(
        &self,
        request: Request<TokenizeRequest>,
    ) -> Result<Response<TokenizeResponse>, Status> {
        let context = CallContext::of(&request)?.clone();
        let TokenizeRequest { model, version, text, parse_special } = request.into_inner();
        let target = target(model, version, "")?;
        let request = ShardTokenizeRequest { fence: None, text, parse_special };
        self.dispatch.tokenize(&target, request, &context).await.map(Response::new)
    }

    async fn embed(&self, _: Request<EmbedRequest>) -> Result<Response<EmbedResponse>, Status> {
        Err(status(Reason::NotServed, "no embedding model is served by this cluster: use Generate or Chat"))
    }
}

/// Which model a request names.
pub(super) fn target(model: String, version: String, adapter: &str) -> Result<Target, Status> {
    if !adapter.is_empty() {
        let message = format!("adapter {adapter:?} is not served: leave the field empty");
        return Err(invalid_because(Reason::UnknownAdapter, "adapter", message));
    }
    let model = ModelId::new(model).map_err(|error| invalid("model", error.to_string()))?;
    Ok(Target { model, version: (!version.is_empty()).then_some(version) })
}
