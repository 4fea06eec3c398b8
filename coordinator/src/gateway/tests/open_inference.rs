//! The Open Inference Protocol over real calls: one reply or a stream of them, and failures told in both ways.

use futures::StreamExt;
use helixflow_proto::error::Reason;
use helixflow_proto::inference::infer_parameter::ParameterChoice;
use helixflow_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use helixflow_proto::inference::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataRequest,
    ModelReadyRequest, ModelStreamInferResponse, RepositoryIndexRequest, ServerLiveRequest,
    ServerMetadataRequest, ServerReadyRequest,
};
use tonic::{Code, Request, Status};

use super::bad_input::field;
use super::node::Act;
use super::{World, told};

const ANSWER: Act = Act::Say(&["a", "b"]);

/// A request with this prompt.
pub(super) fn infer(text: &str) -> ModelInferRequest {
    let contents =
        InferTensorContents { bytes_contents: vec![text.as_bytes().to_vec()], ..Default::default() };
    ModelInferRequest {
        model_name: "m".to_owned(),
        id: format!("id-{text}"),
        inputs: vec![input("text_input", "BYTES", contents)],
        ..Default::default()
    }
}

/// The same, for a reply with each token.
pub(super) fn streaming(text: &str) -> ModelInferRequest {
    let mut request = infer(text);
    let yes = InferTensorContents { bool_contents: vec![true], ..Default::default() };
    request.inputs.push(input("stream", "BOOL", yes));
    request
}

fn input(name: &str, datatype: &str, contents: InferTensorContents) -> InferInputTensor {
    InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: vec![1],
        contents: Some(contents),
        ..Default::default()
    }
}

fn with(request: ModelInferRequest, name: &str, value: ParameterChoice) -> ModelInferRequest {
    let parameter = InferParameter { parameter_choice: Some(value) };
    ModelInferRequest { parameters: [(name.to_owned(), parameter)].into_iter().collect(), ..request }
}

fn text(reply: &ModelInferResponse) -> String {
    let raw = reply.raw_output_contents.first().and_then(|raw| raw.get(4..)).unwrap_or_default();
    String::from_utf8_lossy(raw).into_owned()
}

async fn stream(
    world: &World,
    requests: Vec<ModelInferRequest>,
    real_status: bool,
) -> Vec<Result<ModelStreamInferResponse, Status>> {
    let mut request = Request::new(futures::stream::iter(requests));
    if real_status {
        request.metadata_mut().insert("triton_grpc_error", "true".parse().expect("ascii"));
    }
    world.open_inference().model_stream_infer(request).await.expect("a stream").into_inner().collect().await
}

#[tokio::test(start_paused = true)]
async fn one_request_gets_one_reply() {
    let world = World::start([ANSWER]).await;
    let request = with(infer("x"), "max_tokens", ParameterChoice::Int64Param(2));
    let reply = world.open_inference().model_infer(request).await.expect("a reply").into_inner();
    assert_eq!((text(&reply).as_str(), reply.id.as_str(), reply.model_version.as_str()), ("ab", "id-x", "1"));
    let [(asked, _)] = &world.nodes[0].requests()[..] else { panic!("asked more than once") };
    assert_eq!(asked.sampling.as_ref().and_then(|sampling| sampling.max_tokens), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_stream_gets_a_reply_for_each_token_and_then_the_end() {
    let world = World::start([ANSWER]).await;
    let final_too = |r| with(r, "triton_enable_empty_final_response", ParameterChoice::BoolParam(true));
    for (request, texts, ends) in [
        (streaming("x"), vec!["a", "b", ""], vec![false, false, true]),
        (final_too(streaming("x")), vec!["a", "b", ""], vec![false, false, true]),
        (infer("x"), vec!["ab"], vec![true]),
        (final_too(infer("x")), vec!["ab", ""], vec![false, true]),
    ] {
        let replies: Vec<_> = stream(&world, vec![request], false).await;
        let replies: Vec<_> =
            replies.into_iter().filter_map(|r| r.expect("a reply").infer_response).collect();
        assert_eq!(replies.iter().map(text).collect::<Vec<_>>(), texts);
        let is_last = |reply: &ModelInferResponse| {
            reply.parameters["triton_final_response"].parameter_choice
                == Some(ParameterChoice::BoolParam(true))
        };
        assert_eq!(replies.iter().map(is_last).collect::<Vec<_>>(), ends);
        assert!(replies.iter().all(|reply| reply.id == "id-x"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_a_message_with_its_id_and_the_stream_goes_on() {
    let world = World::start([ANSWER]).await;
    let bad = with(infer("bad"), "beam_width", ParameterChoice::Int64Param(4));
    let replies = stream(&world, vec![bad, infer("good")], false).await;
    let replies: Vec<_> = replies.into_iter().map(|reply| reply.expect("a reply")).collect();
    let by_id = |id: &str| {
        let of_id = |r: &&ModelStreamInferResponse| r.infer_response.as_ref().is_some_and(|r| r.id == id);
        replies.iter().find(of_id).cloned().expect("a reply")
    };
    assert!(by_id("id-bad").error_message.contains("beam_width"));
    assert_eq!(by_id("id-good").error_message, "");
    assert_eq!(by_id("id-good").infer_response.as_ref().map(text), Some("ab".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_for_it_gets_the_real_status_after_the_tokens() {
    let world = World::start([Act::BreakAfter(&["a", "b"])]).await;
    let replies = stream(&world, vec![streaming("x")], true).await;
    let [Ok(a), Ok(b), Err(status)] = &replies[..] else { panic!("{replies:?}") };
    let texts = [a, b].map(|reply| reply.infer_response.as_ref().map(text));
    assert_eq!(texts, ["a", "b"].map(|text| Some(text.to_owned())));
    assert_eq!(told(status), (Code::Unavailable, "NO_REPLICA".to_owned()));

    let replies = stream(&world, vec![streaming("x")], false).await;
    let [Ok(_), Ok(_), Ok(failed)] = &replies[..] else { panic!("{replies:?}") };
    assert!(failed.error_message.contains("does not answer"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_served_is_refused_by_name() {
    let plain = InferTensorContents::default;
    let and = |more| {
        let mut request = infer("x");
        request.inputs.push(more);
        request
    };
    let raw = |bytes: &[u8]| {
        let mut request = infer("x");
        request.inputs[0].contents = None;
        let length = u32::try_from(bytes.len()).expect("short").to_le_bytes();
        ModelInferRequest { raw_input_contents: vec![[&length[..], bytes].concat()], ..request }
    };
    let wants = |name: &str| {
        let output = InferRequestedOutputTensor { name: name.to_owned(), ..Default::default() };
        ModelInferRequest { outputs: vec![output], ..infer("x") }
    };
    let cases = [
        ("text_input", ModelInferRequest { inputs: Vec::new(), ..infer("x") }),
        ("text_input", infer("")),
        ("text_input", raw(b"x\xff")),
        ("image", and(input("image", "BYTES", plain()))),
        ("return_logprobs", and(input("return_logprobs", "BOOL", plain()))),
        ("stream", streaming("x")),
        ("beam_width", with(infer("x"), "beam_width", ParameterChoice::Int64Param(4))),
        ("n", with(infer("x"), "n", ParameterChoice::Int64Param(2))),
        ("temperature", with(infer("x"), "temperature", ParameterChoice::DoubleParam(f64::NAN))),
        ("temperature", with(infer("x"), "temperature", ParameterChoice::StringParam("warm".to_owned()))),
        ("max_tokens", with(infer("x"), "max_tokens", ParameterChoice::Int64Param(-1))),
        ("embedding", wants("embedding")),
        ("finish_reason", wants("finish_reason")),
    ];
    let world = World::start([ANSWER]).await;
    for (name, request) in cases {
        let refused = world.open_inference().model_infer(request.clone()).await.expect_err("a refusal");
        assert_eq!(told(&refused), (Code::InvalidArgument, "INVALID_PARAMETER".to_owned()), "{request:?}");
        assert_eq!(field(&refused), name, "{request:?}");
    }
    let unknown = ModelInferRequest { model_name: "n".to_owned(), ..infer("x") };
    let refused = world.open_inference().model_infer(unknown).await.expect_err("a refusal");
    assert_eq!(told(&refused), (Code::NotFound, "UNKNOWN_MODEL".to_owned()));
    assert_eq!(world.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_cluster_is_told_in_a_unary_call_too() {
    let world = World::start([Act::Refuse(Reason::QueueFull)]).await;
    let refused = world.open_inference().model_infer(infer("x")).await.expect_err("a refusal");
    assert_eq!(told(&refused), (Code::ResourceExhausted, "QUEUE_FULL".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn server_and_models_describe_themselves() {
    let world = World::start([ANSWER]).await;
    let mut client = world.open_inference();
    assert!(client.server_live(ServerLiveRequest {}).await.expect("a reply").into_inner().live);
    assert!(client.server_ready(ServerReadyRequest {}).await.expect("a reply").into_inner().ready);
    let named = |name: &str| ModelReadyRequest { name: name.to_owned(), ..Default::default() };
    assert!(client.model_ready(named("m")).await.expect("a reply").into_inner().ready);
    let unknown = client.model_ready(named("n")).await.expect_err("a refusal");
    assert_eq!(told(&unknown), (Code::NotFound, "UNKNOWN_MODEL".to_owned()));
    let server = client.server_metadata(ServerMetadataRequest {}).await.expect("a reply").into_inner();
    assert_eq!(server.name, "helixflow");
    let request = ModelMetadataRequest { name: "m".to_owned(), ..Default::default() };
    let model = client.model_metadata(request).await.expect("a reply").into_inner();
    assert_eq!(model.versions, ["1"]);
    assert_eq!(model.inputs.first().map(|input| input.name.as_str()), Some("text_input"));
    let index =
        client.repository_index(RepositoryIndexRequest::default()).await.expect("a reply").into_inner();
    let states: Vec<_> = index.models.iter().map(|m| (m.name.as_str(), m.state.as_str())).collect();
    assert_eq!(states, [("m", "READY")]);
}
