//! What is refused without asking a node: each with its code, its reason, and the field's name.

use helixflow_proto::v1::generate_request::Prompt;
use helixflow_proto::v1::{
    ChatMessage, ChatRequest, EmbedRequest, GenerateRequest, RaftFrame, Sampling, TokenChunk, TokenIds,
};
use http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use super::node::Act;
use super::{World, prompt, told};
use crate::gateway::dispatch::MAX_REQUEST;

fn with(sampling: Sampling) -> GenerateRequest {
    GenerateRequest { sampling: Some(sampling), ..prompt("x") }
}

/// The field that a refusal names.
pub(super) fn field(status: &Status) -> String {
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    violations.first().map(|violation| violation.field.clone()).unwrap_or_default()
}

async fn world() -> World {
    World::start([Act::Say(&["a"])]).await
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_not_served_is_not_found() {
    let world = world().await;
    for (model, version) in [("n", ""), ("m", "2")] {
        let request = GenerateRequest { model: model.to_owned(), version: version.to_owned(), ..prompt("x") };
        let refused = world.generate(request).await.expect_err("a refusal");
        assert_eq!(told(&refused), (Code::NotFound, "UNKNOWN_MODEL".to_owned()), "{model}/{version}");
        assert!(refused.message().contains(": "), "it says what to do: {}", refused.message());
    }
    assert_eq!(world.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn bad_parameters_are_refused_by_name() {
    let one = |text: &str| vec![text.to_owned()];
    let cases = [
        ("model", GenerateRequest { model: String::new(), ..prompt("x") }),
        ("model", GenerateRequest { model: "a b".to_owned(), ..prompt("x") }),
        ("prompt", prompt("")),
        ("prompt", GenerateRequest { prompt: None, ..prompt("x") }),
        ("prompt", GenerateRequest { prompt: Some(Prompt::Tokens(TokenIds::default())), ..prompt("x") }),
        ("temperature", with(Sampling { temperature: Some(-1.0), ..Default::default() })),
        ("temperature", with(Sampling { temperature: Some(f32::NAN), ..Default::default() })),
        ("temperature", with(Sampling { temperature: Some(f32::INFINITY), ..Default::default() })),
        ("top_p", with(Sampling { top_p: Some(0.0), ..Default::default() })),
        ("min_p", with(Sampling { min_p: Some(2.0), ..Default::default() })),
        ("repetition_penalty", with(Sampling { repetition_penalty: Some(-0.5), ..Default::default() })),
        ("max_tokens", with(Sampling { max_tokens: Some(0), ..Default::default() })),
        ("min_tokens", with(Sampling { max_tokens: Some(4), min_tokens: Some(5), ..Default::default() })),
        ("logprobs", with(Sampling { logprobs: Some(21), ..Default::default() })),
        ("n", with(Sampling { n: Some(17), ..Default::default() })),
        ("n", with(Sampling { n: Some(0), ..Default::default() })),
        ("stop", with(Sampling { stop: one(""), ..Default::default() })),
        ("stop", with(Sampling { stop: one(&"x".repeat(257)), ..Default::default() })),
        ("stop", with(Sampling { stop: vec!["x".to_owned(); 17], ..Default::default() })),
    ];
    let world = world().await;
    for (name, request) in cases {
        let refused = world.generate(request.clone()).await.expect_err("a refusal");
        assert_eq!(told(&refused), (Code::InvalidArgument, "INVALID_PARAMETER".to_owned()), "{request:?}");
        assert_eq!(field(&refused), name, "{request:?}");
    }
    assert_eq!(world.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn adapters_empty_chats_and_embeddings_are_refused() {
    let world = world().await;
    let request = GenerateRequest { adapter: "poet".to_owned(), ..prompt("x") };
    let refused = world.generate(request).await.expect_err("a refusal");
    assert_eq!(told(&refused), (Code::InvalidArgument, "UNKNOWN_ADAPTER".to_owned()));
    assert_eq!(field(&refused), "adapter");

    let chat = ChatRequest { model: "m".to_owned(), ..Default::default() };
    let refused = world.client().chat(chat.clone()).await.expect_err("a refusal");
    assert_eq!((refused.code(), field(&refused)), (Code::InvalidArgument, "messages".to_owned()));
    let message = ChatMessage { role: "user".to_owned(), content: "hi".to_owned() };
    world.client().chat(ChatRequest { messages: vec![message], ..chat }).await.expect("an answer");

    let refused = world.client().embed(EmbedRequest::default()).await.expect_err("a refusal");
    assert_eq!(told(&refused), (Code::Unimplemented, "NOT_SERVED".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn text_that_is_not_utf8_is_refused_by_field() {
    let world = world().await;
    let at = || PathAndQuery::from_static("/helixflow.v1.InferenceService/Generate");
    let mut client = tonic::client::Grpc::new(world.channel.clone());
    client.ready().await.expect("a connection");
    // The third field of a GenerateRequest is the adapter, a string; of a RaftFrame it is bytes.
    let message = RaftFrame { body: vec![b'x', 0xff].into(), ..Default::default() };
    let codec = ProstCodec::<RaftFrame, TokenChunk>::default();
    let refused =
        client.server_streaming(Request::new(message), at(), codec).await.map(drop).expect_err("a refusal");
    assert_eq!(told(&refused), (Code::InvalidArgument, "INVALID_PARAMETER".to_owned()), "{refused:?}");
    assert_eq!(field(&refused), "adapter");
    assert!(refused.message().contains("UTF-8"), "{}", refused.message());

    // The sixth field of a TokenChunk is bytes; a GenerateRequest has a message there, which these are not.
    client.ready().await.expect("a connection");
    let message = TokenChunk { tag: vec![0xff], ..Default::default() };
    let codec = ProstCodec::<TokenChunk, TokenChunk>::default();
    let refused =
        client.server_streaming(Request::new(message), at(), codec).await.map(drop).expect_err("a refusal");
    assert_eq!((refused.code(), field(&refused)), (Code::InvalidArgument, "sampling".to_owned()));
    assert_eq!(world.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_method_that_is_not_served_is_refused_with_what_to_do() {
    let world = world().await;
    let mut client = tonic::client::Grpc::new(world.channel.clone());
    client.ready().await.expect("a connection");
    let codec = ProstCodec::<TokenIds, TokenIds>::default();
    let at = PathAndQuery::from_static("/inference.GRPCInferenceService/ModelConfig");
    let refused = client.unary(Request::new(TokenIds::default()), at, codec).await.expect_err("a refusal");
    assert_eq!(told(&refused), (Code::Unimplemented, "NOT_SERVED".to_owned()));
    assert!(refused.message().contains("reflection"));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_is_refused() {
    let world = world().await;
    let refused = world.generate(prompt(&"x".repeat(MAX_REQUEST))).await.expect_err("a refusal");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("too large"), "{}", refused.message());
    world.generate(prompt(&"x".repeat(MAX_REQUEST - 100))).await.expect("room for what the gateway adds");
}

#[tokio::test(start_paused = true)]
async fn metadata_that_cannot_be_read_is_refused_by_key() {
    let world = world().await;
    for (key, value) in [("helixflow-priority", "urgent"), ("x-request-id", "a b")] {
        let mut request = Request::new(prompt("x"));
        request.metadata_mut().insert(key, value.parse().expect("ascii"));
        let refused = world.client().generate(request).await.expect_err("a refusal");
        assert_eq!(told(&refused), (Code::InvalidArgument, "INVALID_PARAMETER".to_owned()));
        assert_eq!(field(&refused), key);
    }
}
