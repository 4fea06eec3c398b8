//! Calls that block, alone or with all others, and boards that a new process does not find. The node goes on in any case.

use std::sync::Arc;
use std::time::Duration;

use helixflow_actors::Board;
use helixflow_node::device::Patience;
use serde_json::json;

use crate::world::{PATIENCE, World, read, read_at_last, within};

/// Longer than any test waits: a board that comes back does so in the same process.
const NEVER: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_board_whose_call_blocks_holds_up_no_other_and_comes_back() {
    let world = World::new(json!([{}, {}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    world.change(0, "blocked", json!(["nvmlDeviceGetTemperature"]));
    let late = Arc::clone(&boards[0]);
    let late = tokio::spawn(async move { late.read().await.map_err(|error| error.to_string()) });
    for _ in 0..20 {
        read(&boards[1]).await.expect("a reading of the other board");
    }
    assert!(!late.is_finished(), "a blocked call gave an answer");
    world.change(0, "blocked", json!([]));
    within(late).await.expect("no panic").expect("the same call's answer, of the same process");
}

#[tokio::test]
async fn a_reading_that_was_given_up_is_not_asked_for_twice() {
    let world = World::new(json!([{}, {}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    world.change(0, "blocked", json!(["nvmlDeviceGetTemperature"]));
    for _ in 0..50 {
        let given_up = tokio::time::timeout(Duration::from_millis(1), boards[0].read()).await;
        assert!(given_up.is_err(), "a blocked call gave an answer");
    }
    world.change(0, "blocked", json!([]));
    read(&boards[0]).await.expect("a reading, for all those before it wait for nobody");
}

#[tokio::test]
async fn a_driver_that_holds_every_call_costs_one_process_and_the_node_goes_on() {
    let world = World::new(json!([{}, {}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    world.script.change(|script| script["held"] = json!(["nvmlDeviceGetTemperature"]));
    let both = within(async { tokio::join!(boards[0].read(), boards[1].read()) }).await;
    for outcome in [both.0, both.1] {
        let error = outcome.expect_err("a call that is held").to_string();
        assert!(error.contains("was replaced"), "{error}");
    }
    world.script.change(|script| script["held"] = json!([]));
    for board in &boards {
        assert!(!read_at_last(board).await.is_blind());
    }
}

#[tokio::test]
async fn a_process_that_crashes_is_started_again() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    world.script.change(|script| script["crash"] = json!(["nvmlDeviceGetTemperature"]));
    for _ in 0..3 {
        let error = read(&boards[0]).await.expect_err("a process that crashes").to_string();
        assert!(error.contains("started again"), "{error}");
    }
    world.script.change(|script| script["crash"] = json!([]));
    assert!(!read_at_last(&boards[0]).await.is_blind());
}

/// Has the process crash by a reading of the second board.
async fn crash(world: &World, boards: &[Arc<dyn Board>]) {
    world.change(1, "crash", json!(["nvmlDeviceGetTemperature"]));
    let error = read(&boards[1]).await.expect_err("a process that crashes").to_string();
    assert!(error.contains("started again"), "{error}");
    world.change(1, "crash", json!([]));
}

#[tokio::test]
async fn a_board_that_hangs_in_a_new_process_blinds_no_other_and_is_asked_again_once_it_opens() {
    let world = World::new(json!([{}, {}]));
    let patience = Patience { all_open: Duration::from_millis(100), one_late: NEVER, ..PATIENCE };
    let gpus = world.gpus_with(patience).await;
    let boards = gpus.boards();
    read_at_last(&boards[0]).await;
    world.change(0, "blocked", json!(["nvmlDeviceGetHandleByIndex_v2"]));
    crash(&world, &boards).await;
    assert!(!read_at_last(&boards[1]).await.is_blind());
    let why = read(&boards[0]).await.expect_err("a board that is not open").to_string();
    assert!(why.contains("no driver shows GPU-0 now"), "{why}");
    world.change(0, "blocked", json!([]));
    assert!(!read_at_last(&boards[0]).await.is_blind());
}

#[tokio::test]
async fn a_board_that_a_new_process_lacks_is_looked_for_until_it_is_back() {
    for call in ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID"] {
        let world = World::new(json!([{}, {}]));
        let gpus = world.gpus_with(Patience { one_late: NEVER, ..PATIENCE }).await;
        let boards = gpus.boards();
        world.change(0, "errors", json!({ call: 15 }));
        crash(&world, &boards).await;
        assert!(!read_at_last(&boards[1]).await.is_blind());
        let why = read(&boards[0]).await.expect_err("a board that is not there").to_string();
        assert!(why.contains("no driver shows GPU-0 now"), "{why}");
        world.change(0, "errors", json!({}));
        assert!(!read_at_last(&boards[0]).await.is_blind());
    }
}

#[tokio::test]
async fn a_board_that_the_driver_does_not_count_any_more_is_seen_again_by_a_new_process() {
    let world = World::new(json!([{}, {}]));
    let gpus = world.gpus_with(Patience { one_late: Duration::from_millis(500), ..PATIENCE }).await;
    let boards = gpus.boards();
    let mut gone = json!(null);
    world.script.change(|script| gone = script["boards"].as_array_mut().and_then(Vec::pop).into());
    world.change(0, "crash", json!(["nvmlDeviceGetTemperature"]));
    read(&boards[0]).await.expect_err("a process that crashes");
    world.change(0, "crash", json!([]));
    assert!(!read_at_last(&boards[0]).await.is_blind());
    read(&boards[1]).await.expect_err("a board that is not there");
    world.script.change(|script| script["boards"].as_array_mut().expect("a list of boards").push(gone));
    assert!(!read_at_last(&boards[1]).await.is_blind());
}
