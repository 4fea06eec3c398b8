//! A whole node whose driver hangs: it answers, and ends when it is told to.

use std::path::Path;

use helixflow_env::{Disk, Env};
use helixflow_node::NodeConfig;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::world::{World, within};

const HTTP: &str = "127.0.0.1:7500";
const CONFIG: &str = r#"
    cluster = "c"
    region = "r"
    coordinators = ["127.0.0.1:7100"]
    data_dir = "/node"
    grpc = { listen = "127.0.0.1:7400" }
    http = { listen = "127.0.0.1:7500" }
"#;

fn config(disk: &dyn Disk) -> NodeConfig {
    let path = Path::new("/node.toml");
    disk.write_durably(path, CONFIG.as_bytes()).expect("a write");
    NodeConfig::load(disk, path).expect("a good configuration")
}

/// Asks until the node says that it is well.
async fn answers(env: &Env) {
    within(async {
        loop {
            let Ok(mut connection) = env.network.connect(HTTP.to_owned()).await else {
                tokio::task::yield_now().await;
                continue;
            };
            let request = b"GET /healthz HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n";
            let mut answer = String::new();
            connection.write_all(request).await.expect("a request");
            connection.read_to_string(&mut answer).await.expect("an answer");
            assert!(answer.ends_with("ok\n"), "{answer}");
            return;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_driver_holds_every_call_answers_and_ends() {
    let world = World::new(json!([{}, {}]));
    // A call that is made for readings alone: the drivers open, and the first reading never ends.
    world.script.change(|script| script["held"] = json!(["nvmlDeviceGetEnforcedPowerLimit"]));
    let env = Env::simulated(1);
    let (end, told) = oneshot::channel::<()>();
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let shutdown = async { drop(told.await) };
    let run =
        helixflow_node::run(config(env.disk.as_ref()), env.clone(), Some(world.program()), metrics, shutdown);
    let node = tokio::spawn(run);
    for _ in 0..20 {
        answers(&env).await;
    }
    drop(end);
    within(node).await.expect("no panic").expect("a node that ends in order");
}
