//! Calls that block: alone, or with all others. The node goes on in either case.

use std::sync::Arc;

use serde_json::json;

use crate::world::{World, read, read_at_last, within};

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
        let given_up = tokio::time::timeout(std::time::Duration::from_millis(1), boards[0].read()).await;
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
