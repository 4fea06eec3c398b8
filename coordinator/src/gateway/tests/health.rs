//! Health and reflection as their clients see them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use helixflow_model::ReplicaPhase;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use super::node::Act;
use super::{World, prompt, told};
use crate::gateway::reflection::SERVED;

async fn check(world: &World, name: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest { service: name.to_owned() };
    let reply = HealthClient::new(world.channel.clone()).check(request).await;
    reply.map(|reply| reply.into_inner().status()).map_err(|status| status.code())
}

#[tokio::test(start_paused = true)]
async fn it_serves_once_a_replica_is_ready_and_no_longer_when_none_is_heard() {
    let world = World::before_reports([Act::Say(&["a"])], true).await;
    assert_eq!(check(&world, "").await, Ok(ServingStatus::NotServing));
    assert_eq!(check(&world, "liveness").await, Ok(ServingStatus::Serving));
    assert_eq!(check(&world, "no.such.Service").await, Err(Code::NotFound));
    world.report(ReplicaPhase::Loading);
    world.health("", ServingStatus::NotServing).await;
    let loading = world.generate(prompt("x")).await.expect_err("a refusal");
    assert_eq!(told(&loading), (Code::Unavailable, "MODEL_LOADING".to_owned()));
    world.report(ReplicaPhase::Ready);
    for name in ["", "readiness", "helixflow.v1.InferenceService", "inference.GRPCInferenceService"] {
        world.health(name, ServingStatus::Serving).await;
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(check(&world, "").await, Ok(ServingStatus::NotServing));
    assert_eq!(check(&world, "liveness").await, Ok(ServingStatus::Serving));
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_knows_no_cluster_is_not_ready_and_says_so() {
    let world = World::before_reports([Act::Say(&["a"])], false).await;
    let refused = world.generate(prompt("x")).await.expect_err("a refusal");
    assert_eq!(told(&refused), (Code::Unavailable, "NO_REPLICA".to_owned()));
    world.report(ReplicaPhase::Ready);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(check(&world, "").await, Ok(ServingStatus::NotServing));
    assert_eq!(check(&world, "readiness").await, Ok(ServingStatus::NotServing));
}

#[tokio::test(start_paused = true)]
async fn reflection_lists_what_this_port_serves_in_both_versions() {
    let world = World::before_reports([], true).await;
    let served: BTreeSet<String> = SERVED.map(str::to_owned).into();
    {
        use v1::server_reflection_client::ServerReflectionClient;
        use v1::server_reflection_request::MessageRequest;
        use v1::server_reflection_response::MessageResponse;
        let ask =
            |message| v1::ServerReflectionRequest { message_request: Some(message), ..Default::default() };
        let list = ask(MessageRequest::ListServices(String::new()));
        let file = ask(MessageRequest::FileContainingSymbol("inference.GRPCInferenceService".to_owned()));
        let mut client = ServerReflectionClient::new(world.channel.clone());
        let replies =
            client.server_reflection_info(futures::stream::iter([list, file])).await.expect("a stream");
        let replies: Vec<_> =
            replies.into_inner().map(|reply| reply.expect("a reply").message_response).collect().await;
        let [
            Some(MessageResponse::ListServicesResponse(list)),
            Some(MessageResponse::FileDescriptorResponse(_)),
        ] = &replies[..]
        else {
            panic!("{replies:?}")
        };
        assert_eq!(list.service.iter().map(|service| service.name.clone()).collect::<BTreeSet<_>>(), served);
    }
    use v1alpha::server_reflection_client::ServerReflectionClient;
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let list = MessageRequest::ListServices(String::new());
    let list = v1alpha::ServerReflectionRequest { message_request: Some(list), ..Default::default() };
    let mut client = ServerReflectionClient::new(world.channel.clone());
    let replies = client.server_reflection_info(futures::stream::iter([list])).await.expect("a stream");
    let replies: Vec<_> =
        replies.into_inner().map(|reply| reply.expect("a reply").message_response).collect().await;
    let [Some(MessageResponse::ListServicesResponse(list))] = &replies[..] else { panic!("{replies:?}") };
    assert_eq!(list.service.iter().map(|service| service.name.clone()).collect::<BTreeSet<_>>(), served);
}

#[tokio::test(start_paused = true)]
async fn a_setting_turns_reflection_off_and_leaves_the_rest() {
    use v1::server_reflection_client::ServerReflectionClient;
    let world = World::with([Act::Say(&["a"])], true, false).await;
    let ask = futures::stream::iter([v1::ServerReflectionRequest::default()]);
    let refused = ServerReflectionClient::new(world.channel.clone()).server_reflection_info(ask).await;
    assert_eq!(refused.expect_err("a refusal").code(), Code::Unimplemented);
    assert_eq!(check(&world, "liveness").await, Ok(ServingStatus::Serving));
}
