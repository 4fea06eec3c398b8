//! XIDs: each is told once, with its count, and also of a board that is lost or a process that hangs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_actors::Board;
use helixflow_model::FaultEvent;
use serde_json::json;

use crate::world::{World, read, read_at_last, within};

/// Has faults happen on the first board one after the other, each once the driver has delivered the one before.
async fn happen(world: &World, before: &[u32], codes: &[u32]) {
    let delivered = world.script.events();
    for place in 1..=codes.len() {
        world.change(0, "xids", [before, &codes[..place]].concat().into());
        within(async {
            while world.script.events() < delivered + place {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

/// Reads until so many faults were told; each code with its count.
async fn told(board: &Arc<dyn Board>, total: u32) -> BTreeMap<u32, u32> {
    let mut counts = BTreeMap::new();
    within(async {
        while counts.values().sum::<u32>() < total {
            for FaultEvent { code, count } in read(board).await.expect("a reading").faults {
                *counts.entry(code).or_default() += count;
            }
        }
    })
    .await;
    counts
}

#[tokio::test]
async fn faults_are_told_once_each_with_their_counts_and_to_their_own_board() {
    let world = World::new(json!([{ "xids": [13] }, {}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    // Events are told from the start of the process on; those before are nobody's.
    assert_eq!(read(&boards[0]).await.expect("a reading").faults, []);
    happen(&world, &[13], &[63, 48, 63]).await;
    assert_eq!(told(&boards[0], 3).await, BTreeMap::from([(48, 1), (63, 2)]));
    assert_eq!(read(&boards[0]).await.expect("a reading").faults, []);
    assert_eq!(read(&boards[1]).await.expect("a reading").faults, []);
}

#[tokio::test]
async fn faults_before_the_first_reading_are_told_by_it() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    happen(&world, &[], &[48, 45]).await;
    assert_eq!(told(&gpus.boards()[0], 2).await, BTreeMap::from([(48, 1), (45, 1)]));
}

#[tokio::test]
async fn of_faults_between_two_readings_each_is_told_by_its_own_code() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    read(&boards[0]).await.expect("a reading");
    happen(&world, &[], &[48, 45]).await;
    assert_eq!(told(&boards[0], 2).await, BTreeMap::from([(48, 1), (45, 1)]), "NVML would tell 45 twice");
}

#[tokio::test]
async fn a_fault_in_a_reading_that_was_given_up_is_told_by_the_next_one() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    read(&boards[0]).await.expect("a reading");
    happen(&world, &[], &[48]).await;
    world.change(0, "blocked", json!(["nvmlDeviceGetHandleByUUID"]));
    let given_up = tokio::time::timeout(Duration::from_millis(50), boards[0].read()).await;
    assert!(given_up.is_err(), "a blocked call gave an answer");
    world.change(0, "blocked", json!([]));
    assert_eq!(told(&boards[0], 1).await, BTreeMap::from([(48, 1)]));
}

#[tokio::test]
async fn faults_of_a_call_that_hangs_outlive_the_process_that_is_killed_for_it() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    read(&boards[0]).await.expect("a reading");
    world.change(0, "blocked", json!(["nvmlDeviceGetHandleByUUID"]));
    let hangs = Arc::clone(&boards[0]);
    let hangs = tokio::spawn(async move { hangs.read().await.map_err(|error| error.to_string()) });
    happen(&world, &[], &[119, 120]).await;
    let error = within(hangs).await.expect("no panic").expect_err("a call that hangs");
    assert!(error.contains("was replaced"), "{error}");
    world.change(0, "blocked", json!([]));
    let faults = read_at_last(&boards[0]).await.faults;
    assert_eq!(faults, [119, 120].map(|code| FaultEvent { code, count: 1 }));
    assert_eq!(read(&boards[0]).await.expect("a reading").faults, [], "each is told once");
}

#[tokio::test]
async fn a_fault_that_comes_while_the_driver_fails_to_wait_is_told_afterwards() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    read(&boards[0]).await.expect("a reading");
    world.script.change(|script| script["errors"] = json!({ "nvmlEventSetWait_v2": 999 }));
    // The wait that is under way, if one is, delivers this; the next one fails.
    world.change(0, "xids", json!([119]));
    within(async {
        while world.script.failed_waits() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    world.change(0, "xids", json!([119, 119]));
    world.script.change(|script| script["errors"] = json!({}));
    assert_eq!(told(&boards[0], 2).await, BTreeMap::from([(119, 2)]));
}

#[tokio::test]
async fn a_driver_that_refuses_to_tell_faults_at_first_is_asked_again() {
    let world = World::new(json!([{ "errors": { "nvmlDeviceRegisterEvents": 999 } }]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    read(&boards[0]).await.expect("a reading");
    world.change(0, "errors", json!({}));
    read(&boards[0]).await.expect("a reading");
    happen(&world, &[], &[48]).await;
    assert_eq!(told(&boards[0], 1).await, BTreeMap::from([(48, 1)]));
}

#[tokio::test]
async fn a_board_that_falls_off_the_bus_still_tells_why() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    read(&boards[0]).await.expect("a reading");
    world.change(0, "errors", json!({ "nvmlDeviceGetHandleByUUID": 15 }));
    happen(&world, &[], &[79]).await;
    assert_eq!(told(&boards[0], 1).await, BTreeMap::from([(79, 1)]));
    assert!(read(&boards[0]).await.expect("a reading").is_blind());
}

#[tokio::test]
async fn a_fault_that_the_driver_does_not_know_has_its_own_number() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    read(&boards[0]).await.expect("a reading");
    happen(&world, &[], &[999]).await;
    assert_eq!(told(&boards[0], 1).await, BTreeMap::from([(999, 1)]));
}
