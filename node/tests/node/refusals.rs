//! Requests that cannot be served are refused with a status and a reason; none of them leaves anything behind.

use helixflow_model::ClusterId;
use helixflow_proto::error::Reason;
use helixflow_proto::hello::Hello;
use helixflow_proto::v1;
use helixflow_proto::v1::shard_generate_request::Prompt;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::model::CONTEXT;
use crate::world::{FENCE, World, request};

fn field(status: &Status) -> String {
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    violations.first().map(|violation| violation.field.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_is_refused_by_field() {
    let world = World::ready().await;
    let with = |change: fn(&mut v1::ShardGenerateRequest)| {
        let mut request = request("abc", 4);
        change(&mut request);
        request
    };
    let tokens = |ids: Vec<u32>| Some(Prompt::Tokens(v1::TokenIds { ids }));
    let long = v1::ShardGenerateRequest { prompt: tokens(vec![5; CONTEXT as usize]), ..request("", 4) };
    for (request, expected) in [
        (with(|r| r.prompt = None), "prompt"),
        (with(|r| r.prompt = Some(Prompt::Text(String::new()))), "prompt"),
        (with(|r| r.prompt = Some(Prompt::Tokens(v1::TokenIds::default()))), "prompt"),
        (with(|r| r.prompt = Some(Prompt::Chat(v1::ChatPrompt::default()))), "messages"),
        (long, "prompt"),
        (v1::ShardGenerateRequest { prompt: tokens(vec![259]), ..request("", 4) }, "tokens"),
        (with(|r| r.sampling.get_or_insert_default().temperature = Some(-1.0)), "temperature"),
        (with(|r| r.sampling.get_or_insert_default().top_p = Some(f32::NAN)), "top_p"),
        (with(|r| r.fence = None), "fence"),
        (with(|r| r.stream_id.clear()), "stream_id"),
    ] {
        let refused = world.ask(request).await.expect_err(expected);
        assert_eq!(
            (refused.code(), field(&refused).as_str()),
            (Code::InvalidArgument, expected),
            "{refused:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_longer_than_the_context_says_so() {
    let world = World::ready().await;
    let ids = vec![5; CONTEXT as usize];
    let long =
        v1::ShardGenerateRequest { prompt: Some(Prompt::Tokens(v1::TokenIds { ids })), ..request("", 4) };
    let refused = world.ask(long).await.expect_err("too long");
    assert_eq!(Reason::of(&refused).as_deref(), Some("PROMPT_TOO_LONG"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_generation_is_stale_and_told_what_is_held() {
    let world = World::ready().await;
    let older = v1::Fence { generation: FENCE.generation - 1, ..FENCE };
    let refused = world.ask(v1::ShardGenerateRequest { fence: Some(older), ..request("abc", 4) }).await;
    let refused = refused.expect_err("stale");
    assert_eq!((refused.code(), Reason::of(&refused).as_deref()), (Code::Aborted, Some("STALE_GENERATION")));
    let held = refused.get_details_error_info().map(|info| info.metadata).unwrap_or_default();
    let held = |key: &str| held.get(key).map(String::as_str);
    assert_eq!((held("replica"), held("generation"), held("epoch")), (Some("4"), Some("2"), Some("3")));

    let elsewhere = v1::Fence { replica: 99, ..FENCE };
    let refused = world.ask(v1::ShardGenerateRequest { fence: Some(elsewhere), ..request("abc", 4) }).await;
    assert_eq!(refused.map(|_| ()).map_err(|status| status.code()), Err(Code::Aborted));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_of_another_cluster_is_refused() {
    let world = World::ready().await;
    let stranger = Hello::new(ClusterId::new("other").expect("a valid name"));
    let refused = world.client_of(stranger).generate(request("abc", 4)).await.expect_err("a stranger");
    assert_eq!(Reason::of(&refused).as_deref(), Some("WRONG_CLUSTER"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_said_with_the_time_to_come_back() {
    let world = World::ready().await;
    let mut streams = Vec::new();
    let refused = loop {
        match world.open(request("abc", 2000)).await {
            Ok(stream) => streams.push(stream),
            Err(status) => break status,
        }
        assert!(streams.len() < 200, "the queue has a bound");
    };
    assert_eq!(
        (refused.code(), Reason::of(&refused).as_deref()),
        (Code::ResourceExhausted, Some("QUEUE_FULL"))
    );
    assert!(refused.get_details_retry_info().is_some());
}
