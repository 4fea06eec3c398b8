//! XIDs: each is told once, with its count, and also of a board that is lost.

use helixflow_model::FaultEvent;
use serde_json::json;

use crate::world::{World, read};

#[tokio::test]
async fn faults_are_told_once_each_with_their_counts_and_to_their_own_board() {
    let world = World::new(json!([{ "xids": [13] }, {}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    // Events gather from the first reading on; those before are nobody's.
    assert_eq!(read(&boards[0]).await.expect("a reading").faults, []);
    world.change(0, "xids", json!([13, 63, 48, 63]));
    let faults = read(&boards[0]).await.expect("a reading").faults;
    assert_eq!(faults, [FaultEvent { code: 48, count: 1 }, FaultEvent { code: 63, count: 2 }]);
    assert_eq!(read(&boards[0]).await.expect("a reading").faults, []);
    assert_eq!(read(&boards[1]).await.expect("a reading").faults, []);
}

#[tokio::test]
async fn a_board_that_falls_off_the_bus_still_tells_why() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    read(&boards[0]).await.expect("a reading");
    world.script.change(|script| {
        script["boards"][0]["xids"] = json!([79]);
        script["boards"][0]["errors"] = json!({ "nvmlDeviceGetHandleByUUID": 15 });
    });
    let reading = read(&boards[0]).await.expect("a reading");
    assert!(reading.is_blind());
    assert_eq!(reading.faults, [FaultEvent { code: 79, count: 1 }]);
}

#[tokio::test]
async fn a_fault_that_the_driver_does_not_know_has_its_own_number() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    read(&boards[0]).await.expect("a reading");
    world.change(0, "xids", json!([999]));
    let faults = read(&boards[0]).await.expect("a reading").faults;
    assert_eq!(faults, [FaultEvent { code: 999, count: 1 }]);
}
