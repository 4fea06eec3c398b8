//! Generate, chat and tokenize.

use helixflow_proto::v1::generate_response::Event;
use helixflow_proto::v1::inference_service_client::InferenceServiceClient;
use helixflow_proto::v1::{
    ChatRequest, GenerateRequest, GenerateResponse, TokenizeRequest, TokenizeResponse,
};
use tonic::Streaming;

use crate::retry::Repeat;
use crate::{Client, ClientError};

impl Client {
    /// Continues a prompt; the tokens come as they are made.
    pub async fn generate(&self, request: GenerateRequest) -> Result<TokenStream, ClientError> {
        let call = async |channel, request| InferenceServiceClient::new(channel).generate(request).await;
        let (messages, endpoint) = self.call(request, Repeat::Harmless, call).await?;
        Ok(TokenStream { messages, endpoint, complete: false })
    }

    /// Answers a conversation by the model's own chat template.
    pub async fn chat(&self, request: ChatRequest) -> Result<TokenStream, ClientError> {
        let call = async |channel, request| InferenceServiceClient::new(channel).chat(request).await;
        let (messages, endpoint) = self.call(request, Repeat::Harmless, call).await?;
        Ok(TokenStream { messages, endpoint, complete: false })
    }

    /// Turns text into the model's token ids.
    pub async fn tokenize(&self, request: TokenizeRequest) -> Result<TokenizeResponse, ClientError> {
        let call = async |channel, request| InferenceServiceClient::new(channel).tokenize(request).await;
        Ok(self.call(request, Repeat::Harmless, call).await?.0)
    }
}

/// The events of one request, in order; dropping it ends the request.
#[derive(Debug)]
pub struct TokenStream {
    messages: Streaming<GenerateResponse>,
    endpoint: String,
    complete: bool,
}

impl TokenStream {
    /// The next event; none once the stream is complete.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        if self.complete {
            return Ok(None);
        }
        let endpoint = || self.endpoint.clone();
        match self.messages.message().await {
            Ok(Some(GenerateResponse { event: Some(event) })) => {
                self.complete = matches!(event, Event::End(_));
                Ok(Some(event))
            }
            Ok(_) => Err(ClientError::Truncated { endpoint: endpoint() }),
            Err(status) => Err(ClientError::in_stream(status, endpoint())),
        }
    }

    /// The coordinator that sends it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}
