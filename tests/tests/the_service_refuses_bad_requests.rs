//! Every request that cannot be served is refused with a status that a program understands: code, reason and field.

use anyhow::{Context, Result, ensure};
use helixflow_client::{Client, ClientError, ClientOptions};
use helixflow_env::Env;
use helixflow_env::net::Connector;
use helixflow_proto::error::Reason;
use helixflow_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use helixflow_proto::inference::infer_parameter::ParameterChoice;
use helixflow_proto::inference::model_infer_request::InferInputTensor;
use helixflow_proto::inference::{InferParameter, InferTensorContents, ModelInferRequest};
use helixflow_proto::v1::generate_request::Prompt;
use helixflow_proto::v1::inference_service_client::InferenceServiceClient;
use helixflow_proto::v1::{
    ChatMessage, ChatRequest, EmbedRequest, GenerateRequest, Sampling, TokenIds, TokenizeRequest,
};
use helixflow_tests::cluster::Shared;
use helixflow_tests::program::{printed, refused};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

const MODEL: &str = "smollm2-135m-instruct";

static CLUSTER: Shared = Shared::new(&["--coordinators", "1", "--nodes", "1"]);

fn client() -> Result<Client> {
    Ok(Client::new(&Env::real(), &CLUSTER.get()?.endpoints()?, ClientOptions::default())?)
}

fn channel() -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", CLUSTER.get()?.endpoints()?[0]))?;
    Ok(endpoint.connect_with_connector_lazy(Connector(Env::real().network)))
}

/// A good request, to be spoilt.
fn good() -> GenerateRequest {
    GenerateRequest {
        model: MODEL.to_owned(),
        prompt: Some(Prompt::Text("Hello".to_owned())),
        sampling: Some(Sampling { max_tokens: Some(2), ..Default::default() }),
        ..Default::default()
    }
}

fn with(sampling: Sampling) -> GenerateRequest {
    GenerateRequest { sampling: Some(sampling), ..good() }
}

/// The field that a status blames; empty when it blames none.
fn field(status: &Status) -> String {
    let violations =
        status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
    violations.into_iter().next().map(|violation| violation.field).unwrap_or_default()
}

/// Checks what a request is answered with.
async fn is_refused(request: GenerateRequest, code: Code, reason: &str, blamed: &str) -> Result<()> {
    let answer = match client()?.generate(request.clone()).await {
        Ok(mut stream) => stream.next().await.map(|_| ()),
        Err(error) => Err(error),
    };
    let error = answer.err().with_context(|| format!("was served: {request:?}"))?;
    let status = error.status().with_context(|| format!("no status: {error}"))?;
    let told = (status.code(), Reason::of(status).unwrap_or_default(), field(status));
    ensure!(told == (code, reason.to_owned(), blamed.to_owned()), "{request:?} was refused by {status:?}");
    ensure!(status.message().len() > 10, "the message tells what to do: {status:?}");
    Ok(())
}

#[tokio::test]
async fn a_model_that_is_not_served_is_not_found() -> Result<()> {
    let unknown = [
        GenerateRequest { model: "nobody".to_owned(), ..good() },
        GenerateRequest { version: "77".to_owned(), ..good() },
    ];
    for request in unknown {
        is_refused(request, Code::NotFound, "UNKNOWN_MODEL", "").await?;
    }
    let adapter = GenerateRequest { adapter: "mine".to_owned(), ..good() };
    is_refused(adapter, Code::InvalidArgument, "UNKNOWN_ADAPTER", "adapter").await?;
    let unnamed = GenerateRequest { model: String::new(), ..good() };
    is_refused(unnamed, Code::InvalidArgument, "INVALID_PARAMETER", "model").await
}

#[tokio::test]
async fn a_prompt_that_is_empty_is_refused() -> Result<()> {
    for prompt in
        [None, Some(Prompt::Text(String::new())), Some(Prompt::Tokens(TokenIds { ids: Vec::new() }))]
    {
        let request = GenerateRequest { prompt, ..good() };
        is_refused(request, Code::InvalidArgument, "INVALID_PARAMETER", "prompt").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_prompt_longer_than_the_context_is_refused() -> Result<()> {
    for prompt in [
        Prompt::Text("word ".repeat(9_000)),
        Prompt::Tokens(TokenIds { ids: vec![1; 9_000] }),
        // So long that it is not even tokenized.
        Prompt::Text("x".repeat(5_000_000)),
    ] {
        let request = GenerateRequest { prompt: Some(prompt), ..good() };
        is_refused(request, Code::InvalidArgument, "PROMPT_TOO_LONG", "prompt").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_the_model_does_not_have_is_refused() -> Result<()> {
    let request =
        GenerateRequest { prompt: Some(Prompt::Tokens(TokenIds { ids: vec![1, 4_000_000] })), ..good() };
    is_refused(request, Code::InvalidArgument, "INVALID_PARAMETER", "tokens").await
}

#[tokio::test]
async fn a_parameter_that_cannot_be_is_refused_by_its_name() -> Result<()> {
    let base = Sampling { max_tokens: Some(2), ..Default::default() };
    let stop = |stop: Vec<String>| Sampling { stop, ..base.clone() };
    let cases = [
        (Sampling { temperature: Some(-1.0), ..base.clone() }, "temperature"),
        (Sampling { temperature: Some(f32::NAN), ..base.clone() }, "temperature"),
        (Sampling { temperature: Some(f32::INFINITY), ..base.clone() }, "temperature"),
        (Sampling { top_p: Some(0.0), ..base.clone() }, "top_p"),
        (Sampling { top_p: Some(1.5), ..base.clone() }, "top_p"),
        (Sampling { min_p: Some(-0.5), ..base.clone() }, "min_p"),
        (Sampling { repetition_penalty: Some(0.0), ..base.clone() }, "repetition_penalty"),
        (Sampling { max_tokens: Some(0), ..base.clone() }, "max_tokens"),
        (Sampling { min_tokens: Some(3), ..base.clone() }, "min_tokens"),
        (Sampling { n: Some(0), ..base.clone() }, "n"),
        (Sampling { n: Some(17), ..base.clone() }, "n"),
        (Sampling { logprobs: Some(21), ..base.clone() }, "logprobs"),
        (stop(vec!["x".to_owned(); 17]), "stop"),
        (stop(vec![String::new()]), "stop"),
        (stop(vec!["x".repeat(257)]), "stop"),
    ];
    for (sampling, name) in cases {
        is_refused(with(sampling), Code::InvalidArgument, "INVALID_PARAMETER", name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_parameter_is_refused_by_its_name() -> Result<()> {
    let colour = InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(3)) };
    let text = InferInputTensor {
        name: "text_input".to_owned(),
        datatype: "BYTES".to_owned(),
        shape: vec![1],
        contents: Some(InferTensorContents { bytes_contents: vec![b"Hello".to_vec()], ..Default::default() }),
        ..Default::default()
    };
    let request = ModelInferRequest {
        model_name: MODEL.to_owned(),
        inputs: vec![text],
        parameters: [("colour".to_owned(), colour)].into_iter().collect(),
        ..Default::default()
    };
    let answer = GrpcInferenceServiceClient::new(channel()?).model_infer(request).await;
    let status = answer.err().context("colour was taken")?;
    assert_eq!((status.code(), field(&status).as_str()), (Code::InvalidArgument, "colour"), "{status:?}");
    Ok(())
}

#[tokio::test]
async fn a_chat_that_nobody_can_render_is_refused() -> Result<()> {
    let chat = |messages| ChatRequest { model: MODEL.to_owned(), messages, ..Default::default() };
    let long = ChatMessage { role: "user".to_owned(), content: "word ".repeat(9_000) };
    let cases = [
        (chat(Vec::new()), "INVALID_PARAMETER", "messages"),
        (chat(vec![long]), "PROMPT_TOO_LONG", "prompt"),
    ];
    for (request, reason, blamed) in cases {
        let Err(ClientError::Call { status, .. }) = client()?.chat(request).await else {
            panic!("{blamed} was taken")
        };
        let told = (status.code(), Reason::of(&status), field(&status));
        assert_eq!(told, (Code::InvalidArgument, Some(reason.to_owned()), blamed.to_owned()), "{status:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_served_says_so() -> Result<()> {
    let mut raw = InferenceServiceClient::new(channel()?);
    let embed = raw.embed(EmbedRequest { model: MODEL.to_owned(), ..Default::default() }).await;
    let status = embed.err().context("nothing embeds")?;
    assert_eq!((status.code(), Reason::of(&status).as_deref()), (Code::Unimplemented, Some("NOT_SERVED")));
    let request =
        TokenizeRequest { model: "nobody".to_owned(), text: "Hello".to_owned(), ..Default::default() };
    let Err(ClientError::Call { status, .. }) = client()?.tokenize(request).await else {
        panic!("nobody tokenizes")
    };
    assert_eq!((status.code(), Reason::of(&status).as_deref()), (Code::NotFound, Some("UNKNOWN_MODEL")));
    Ok(())
}

#[test]
fn commands_pass_a_refusal_on_in_words() -> Result<()> {
    let generate = |options: &[&str]| {
        CLUSTER.get()?.run(&[&["generate", "Hello", "--max-tokens", "2"], options].concat())
    };
    refused(&generate(&["--model", "nobody"])?, 1, &["nobody"])?;
    for value in ["-1", "nan", "inf"] {
        refused(&generate(&["--temperature", value])?, 1, &["temperature"])?;
    }
    refused(&generate(&["--top-p", "-0.5"])?, 1, &["top_p"])?;
    let long = "word ".repeat(9_000);
    refused(&CLUSTER.get()?.run_with_input(&["generate"], &long)?, 1, &["8192"])?;
    assert!(!printed(generate(&[])?)?.is_empty(), "a good request is served after all those");
    Ok(())
}
