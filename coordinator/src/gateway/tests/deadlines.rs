//! A client's deadline: honoured here, and passed on.

use std::time::Duration;

use helixflow_proto::error::Reason;
use tokio::time::Instant;
use tonic::{Code, Request};

use super::node::Act;
use super::{World, collect, prompt, told};

const LIMIT: Duration = Duration::from_secs(3);

fn in_time() -> Request<helixflow_proto::v1::GenerateRequest> {
    let mut request = Request::new(prompt("x"));
    request.set_timeout(LIMIT);
    request
}

#[tokio::test(start_paused = true)]
async fn a_deadline_goes_on_to_the_node() {
    let world = World::start([Act::Say(&["a"])]).await;
    let began = Instant::now();
    collect(world.client().generate(in_time()).await.expect("a stream").into_inner())
        .await
        .expect("an answer");
    let [(_, context)] = &world.nodes[0].requests()[..] else { panic!("asked more than once") };
    let left = context.deadline.expect("a deadline") - began;
    assert!(left <= LIMIT && left > LIMIT / 2, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_request_that_no_replica_begins() {
    for act in [Act::Hang, Act::Refuse(Reason::DeadlineExceeded)] {
        let world = World::start([act.clone(), act]).await;
        let late = world.direct().generate(in_time()).await.expect_err("too late");
        assert_eq!(told(&late), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned()));
        world.nodes[0].running(0).await;
        world.nodes[1].running(0).await;
        assert_eq!(world.asked(), 1, "nobody else is asked");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_stream_in_the_middle_and_the_request_on_the_node() {
    let world = World::start([Act::FallSilentAfter(&["a"])]).await;
    let began = Instant::now();
    let mut stream = world.client().generate(in_time()).await.expect("a stream").into_inner();
    for _ in 0..2 {
        stream.message().await.expect("a message").expect("an open stream");
    }
    let late = stream.message().await.expect_err("too late");
    assert_eq!(told(&late), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned()));
    assert!(began.elapsed() >= LIMIT && began.elapsed() < LIMIT * 2);
    world.nodes[0].running(0).await;
}
