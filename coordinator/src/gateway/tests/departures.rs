//! Who goes away: clients, whose requests end on the node, and the process itself.

use futures::FutureExt;
use helixflow_proto::inference::ModelInferRequest;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::node::Act;
use super::open_inference::{infer, streaming};
use super::{PATIENCE, World, prompt, told};

#[tokio::test(start_paused = true)]
async fn a_client_that_drops_its_stream_ends_it_on_the_node() {
    let world = World::start([Act::FallSilentAfter(&["a"])]).await;
    let stream = world.client().generate(prompt("x")).await.expect("a stream");
    world.nodes[0].running(1).await;
    drop(stream);
    world.nodes[0].running(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_up_before_the_first_token_ends_the_request_on_the_node() {
    let world = World::start([Act::Hang]).await;
    let mut client = world.client();
    let waiting = tokio::spawn(async move { client.generate(prompt("x")).await.map(drop) });
    world.nodes[0].running(1).await;
    waiting.abort();
    world.nodes[0].running(0).await;
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_the_open_protocol_that_goes_away_ends_its_requests_on_the_node() {
    let world = World::start([Act::FallSilentAfter(&["a"])]).await;
    let mut client = world.open_inference();
    let waiting = tokio::spawn(async move { client.model_infer(infer("x")).await.map(drop) });
    world.nodes[0].running(1).await;
    waiting.abort();
    world.nodes[0].running(0).await;

    let requests = futures::stream::iter([streaming("x"), streaming("y"), infer("z")]);
    let stream = world.open_inference().model_stream_infer(requests).await.expect("a stream").into_inner();
    world.nodes[0].running(3).await;
    drop(stream);
    world.nodes[0].running(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_tells_its_watchers_first_and_waits_for_no_idle_stream() {
    let world = World::start([Act::Say(&["a"])]).await;
    let request = HealthCheckRequest { service: "readiness".to_owned() };
    let mut watch =
        HealthClient::new(world.channel.clone()).watch(request).await.expect("a watch").into_inner();
    assert_eq!(watch.message().await.expect("a status").map(|s| s.status()), Some(ServingStatus::Serving));
    let (_requests, receiver) = mpsc::channel::<ModelInferRequest>(1);
    let idle = world.open_inference().model_stream_infer(ReceiverStream::new(receiver)).await;
    let mut idle = idle.expect("a stream").into_inner();

    let began = Instant::now();
    world.stop.cancel();
    assert_eq!(watch.message().await.expect("a status").map(|s| s.status()), Some(ServingStatus::NotServing));
    let last = watch.message().await.expect_err("an end");
    assert_eq!(told(&last), (Code::Unavailable, "DRAINING".to_owned()));
    assert!(idle.message().await.expect("an orderly end").is_none());
    timeout(PATIENCE, world.server).await.expect("an end in time").expect("no panic");
    assert!(began.elapsed().as_millis() < 100, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_lets_streams_go_on_for_a_moment_and_then_says_why() {
    let world = World::start([Act::FallSilentAfter(&["a"])]).await;
    let mut stream = world.client().generate(prompt("x")).await.expect("a stream").into_inner();
    world.stop.cancel();
    for _ in 0..2 {
        stream.message().await.expect("a message").expect("an open stream");
    }
    assert!(stream.message().now_or_never().is_none());
    let ended = stream.message().await.expect_err("an end");
    assert_eq!(told(&ended), (Code::Unavailable, "DRAINING".to_owned()));
    let refused = world.direct().generate(prompt("x")).await.expect_err("a refusal");
    assert_eq!(told(&refused), (Code::Unavailable, "DRAINING".to_owned()));
}
