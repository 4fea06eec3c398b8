//! Another replica answers, or the client is told why none does.

use std::time::Duration;

use helixflow_model::ReplicaPhase;
use helixflow_proto::error::Reason;
use helixflow_proto::v1::TokenizeRequest;
use helixflow_proto::v1::generate_response::Event;
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt;

use super::node::Act;
use super::{World, prompt, told};

const ANSWER: Act = Act::Say(&["a", "b"]);

/// Enough that two replicas are both asked first, now and then.
const REQUESTS: usize = 12;

#[tokio::test(start_paused = true)]
async fn a_stream_tells_who_answers_and_ends_in_order() {
    let world = World::start([ANSWER]).await;
    let messages = world.generate(prompt("x")).await.expect("an answer");
    let events: Vec<_> = messages.into_iter().filter_map(|message| message.event).collect();
    let [Event::Start(start), Event::Chunk(a), Event::Chunk(b), Event::ChoiceEnd(_), Event::End(_)] =
        &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((start.model.as_str(), start.model_version.as_str()), ("m", "1"));
    assert_eq!((a.text.as_str(), b.text.as_str()), ("a", "b"));
    let [(request, context)] = &world.nodes[0].requests()[..] else { panic!("asked more than once") };
    assert_eq!(request.seed, start.seed);
    assert_eq!(context.request_id.as_str(), start.request_id);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_does_not_begin_is_passed_over() {
    let refusals = [
        Act::Refuse(Reason::QueueFull),
        Act::Refuse(Reason::StaleGeneration),
        Act::Refuse(Reason::NoReplica),
        Act::Refuse(Reason::Draining),
        Act::Refuse(Reason::ModelLoading),
        Act::Refuse(Reason::WrongCluster),
        Act::Fail("connection reset by peer"),
        Act::EndAtOnce,
        Act::Hang,
    ];
    for refusal in refusals {
        let world = World::start([refusal.clone(), ANSWER]).await;
        for _ in 0..REQUESTS {
            let messages = world.generate(prompt("x")).await.expect("an answer");
            assert_eq!(messages.len(), 5, "{refusal:?}");
        }
        assert_eq!(world.nodes[1].asked(), REQUESTS);
        assert!(world.nodes[0].asked() > 0, "{refusal:?}: luck");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_cannot_be_reached_is_passed_over() {
    let world = World::start([ANSWER, ANSWER]).await;
    world.nodes[0].die();
    for _ in 0..REQUESTS {
        world.generate(prompt("x")).await.expect("an answer");
        let request = TokenizeRequest { model: "m".to_owned(), text: "hi".to_owned(), ..Default::default() };
        let tokens = world.client().tokenize(request).await.expect("an answer").into_inner();
        assert_eq!((tokens.ids, tokens.model_version.as_str()), (vec![104, 105], "1"));
    }
    assert_eq!(world.nodes[1].asked(), REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_full_the_client_is_told_when_to_come_back() {
    let full = || Act::Refuse(Reason::QueueFull);
    for acts in
        [vec![full(), full(), full()], vec![full(), Act::EndAtOnce, Act::Refuse(Reason::StaleGeneration)]]
    {
        let world = World::start(acts).await;
        let refused = world.generate(prompt("x")).await.expect_err("a refusal");
        assert_eq!(told(&refused), (Code::ResourceExhausted, "QUEUE_FULL".to_owned()));
        assert_eq!(refused.message(), "QUEUE_FULL for the test");
        let after = refused.get_details_retry_info().and_then(|info| info.retry_delay);
        assert_eq!(after, Some(Duration::from_millis(500)));
        assert_eq!(
            refused.metadata().get("grpc-retry-pushback-ms").and_then(|v| v.to_str().ok()),
            Some("500")
        );
        assert_eq!(world.asked(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_between_gateway_and_node_is_told_as_no_replica() {
    for reason in [Reason::StaleGeneration, Reason::WrongCluster] {
        let world = World::start([Act::Refuse(reason), Act::Refuse(reason)]).await;
        let refused = world.generate(prompt("x")).await.expect_err("a refusal");
        assert_eq!(told(&refused), (Code::Unavailable, "NO_REPLICA".to_owned()), "{reason:?}");
        assert_eq!(world.asked(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_every_replica_would_say_is_asked_once() {
    let world = World::start([Act::Refuse(Reason::PromptTooLong), Act::Refuse(Reason::PromptTooLong)]).await;
    let refused = world.generate(prompt("x")).await.expect_err("a refusal");
    assert_eq!(told(&refused), (Code::InvalidArgument, "PROMPT_TOO_LONG".to_owned()));
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_tries_four_replicas_at_most() {
    let world = World::start(vec![Act::Refuse(Reason::NoReplica); 6]).await;
    let refused = world.generate(prompt("x")).await.expect_err("a refusal");
    assert_eq!(told(&refused), (Code::Unavailable, "NO_REPLICA".to_owned()));
    assert_eq!(world.asked(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_in_mid_stream_ends_it_and_no_other_is_asked() {
    let world = World::start([Act::FallSilentAfter(&["a"]), Act::FallSilentAfter(&["a"])]).await;
    let mut stream = world.client().generate(prompt("x")).await.expect("a stream").into_inner();
    for _ in 0..2 {
        stream.message().await.expect("a message").expect("an open stream");
    }
    world.nodes.iter().for_each(super::FakeNode::die);
    let lost = stream.message().await.expect_err("a loss");
    assert_eq!(told(&lost), (Code::Unavailable, "NO_REPLICA".to_owned()));
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_before_its_end_is_a_loss() {
    let world = World::start([Act::BreakAfter(&["a"]), Act::BreakAfter(&["a"])]).await;
    let lost = world.generate(prompt("x")).await.expect_err("a loss");
    assert_eq!(told(&lost), (Code::Unavailable, "NO_REPLICA".to_owned()));
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_burst_goes_to_all_replicas_alike() {
    let world = World::start(vec![Act::FallSilentAfter(&[]); 3]).await;
    let mut held = Vec::new();
    for _ in 0..30 {
        held.push(world.client().generate(prompt("x")).await.expect("a stream"));
    }
    let asked: Vec<usize> = world.nodes.iter().map(super::FakeNode::asked).collect();
    assert!(asked.iter().all(|asked| (8..=12).contains(asked)), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_at_a_coordinator_that_has_just_started_waits_for_the_nodes() {
    let world = World::before_reports([ANSWER], true).await;
    let (mut client, began) = (world.client(), Instant::now());
    let early = tokio::spawn(async move { client.generate(prompt("x")).await.map(drop) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.report(ReplicaPhase::Ready);
    early.await.expect("no panic").expect("an answer");
    assert!(began.elapsed() < Duration::from_secs(2), "it took {:?}", began.elapsed());
    assert_eq!(world.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_has_listened_for_long_refuses_at_once() {
    let world = World::before_reports([ANSWER], true).await;
    let began = Instant::now();
    world.generate(prompt("x")).await.expect_err("a refusal once the time to listen is over");
    assert!(began.elapsed() >= Duration::from_secs(4), "it took {:?}", began.elapsed());
    let began = Instant::now();
    world.generate(prompt("x")).await.expect_err("a refusal");
    assert!(began.elapsed() < Duration::from_secs(1), "it took {:?}", began.elapsed());
}
