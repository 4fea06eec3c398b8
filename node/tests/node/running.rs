//! How a node starts and ends: what it cannot load it reports, what it cannot have it names, what runs it drains.

use helixflow_env::Env;
use helixflow_model::ReplicaPhase;
use helixflow_node::{ActorKind, ActorReport, NodeError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::model;
use crate::world::{GRPC, HTTP, World, metrics, read, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_model_is_refused_in_the_report() {
    let world = World::ordered(model::file(), 1).await;
    let report = world.coordinator.phase(ReplicaPhase::Failed).await;
    assert!(report.replicas[0].detail.contains("was given layers 0..1 of 2"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_refused_in_the_report() {
    let whole = model::file();
    let world = World::ordered(whole[..whole.len() / 2].to_vec(), model::LAYERS).await;
    let report = world.coordinator.phase(ReplicaPhase::Failed).await;
    assert!(report.replicas[0].detail.contains("fetch it again"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_runs_is_finished_before_the_node_ends() {
    let world = World::ready().await;
    let stream = world.open(request("abc", 400)).await.expect("a stream");
    let reading = tokio::spawn(read(stream));
    world.shut_down().await.expect("an orderly end");
    let answer = reading.await.expect("a reader").expect("a whole answer");
    assert_eq!(answer.tokens(0).len(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probes_and_the_metrics_are_served() {
    let world = World::ready().await;
    world.ask(request("abc", 4)).await.expect("an answer");
    assert!(get(&world.env, "/healthz").await.ends_with("ok\n"));
    assert!(get(&world.env, "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&world.env, "/metrics").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_of_actors_is_served_as_json() {
    let world = World::ready().await;
    let answer = get(&world.env, "/actors").await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let tree: ActorReport = serde_json::from_str(body).expect("a tree");
    let kinds: Vec<ActorKind> = tree.all().iter().map(|actor| actor.kind).collect();
    assert!(ActorKind::ALL.iter().all(|kind| kinds.contains(kind)), "{tree:#?}");
}

async fn get(env: &Env, path: &str) -> String {
    let mut connection = env.network.connect(HTTP.to_owned()).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_or_a_port_in_use_is_named() {
    let world = World::ready().await;
    let again =
        |config| helixflow_node::run(config, world.env.clone(), None, metrics(), std::future::pending());
    let in_use = again(world.config.clone()).await.expect_err("the folder is in use");
    assert!(matches!(&in_use, NodeError::InUse { path } if *path == world.config.data_dir), "{in_use}");
    let elsewhere = helixflow_node::NodeConfig { data_dir: "/elsewhere".into(), ..world.config.clone() };
    let in_use = again(elsewhere).await.expect_err("the port is in use");
    assert!(
        in_use.to_string().contains(GRPC) && matches!(in_use, NodeError::Port { key: "grpc", .. }),
        "{in_use}"
    );
}
