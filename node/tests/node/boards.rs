//! Simulated boards of a running node: replicas run on them, and the operator's door changes them.

use helixflow_env::Env;
use helixflow_model::{ClockReasons, DeviceKind, NodeReport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{HTTP, World, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_names_the_board_that_it_runs_on() {
    let world = World::ready().await;
    let report = world.coordinator.report(|report| !report.boards.is_empty()).await;
    let board = &report.boards[0].info;
    assert_eq!(
        (board.kind, board.limits.clock_most.map(|clock| clock.0)),
        (DeviceKind::Simulated, Some(1980))
    );
    assert_eq!(report.replicas[0].boards, std::slice::from_ref(&board.board));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_surroundings_and_faults_show_in_the_report() {
    let world = World::ready().await;
    let (status, truth) =
        ask(&world.env, "PUT", "/simulated/simulated-0", r#"{"faults": ["lying:60", "brake"]}"#).await;
    assert_eq!(status, 200, "{truth}");
    assert!(truth.contains(r#""faults":["lying:60","brake"]"#), "{truth}");
    // The board is at rest at about 30 degrees.
    world
        .coordinator
        .report(|report| core(report) > 80_000 && reasons(report).has(ClockReasons::POWER_BRAKE))
        .await;
    let answer = world.ask(request("abc", 8)).await.expect("it still serves");
    assert_eq!(answer.tokens(0).len(), 8);

    let (status, truth) = ask(&world.env, "PUT", "/simulated/simulated-0", "{}").await;
    assert_eq!(status, 200, "{truth}");
    let report = world.coordinator.report(|report| core(report) < 60_000).await;
    assert!(!reasons(&report).has(ClockReasons::POWER_BRAKE));
    let (status, all) = ask(&world.env, "GET", "/simulated", "").await;
    assert!(status == 200 && all.starts_with('[') && all.contains("\"inlet_celsius\":25.0"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let world = World::ready().await;
    let (status, words) = ask(&world.env, "PUT", "/simulated/simulated-0", r#"{"faults": ["fans"]}"#).await;
    assert!(status == 400 && words.contains("use bus, ecc"), "{status} {words}");
    let (status, words) = ask(&world.env, "PUT", "/simulated/simulated-7", "{}").await;
    assert!(status == 404 && words.contains("there is simulated-0"), "{status} {words}");
    let (_, all) = ask(&world.env, "GET", "/simulated", "").await;
    assert!(all.contains("\"faults\":[]"), "{all}");
}

fn core(report: &NodeReport) -> i32 {
    report.boards.first().and_then(|board| board.reading.core.live()).map_or(0, |core| core.0)
}

fn reasons(report: &NodeReport) -> ClockReasons {
    report.boards.first().and_then(|board| board.reading.reasons.live()).unwrap_or_default()
}

/// Status and body of an answer.
async fn ask(env: &Env, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut connection = env.network.connect(HTTP.to_owned()).await.expect("a connection");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    connection.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}
