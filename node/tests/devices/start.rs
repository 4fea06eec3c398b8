//! What there is at the start, and what a driver in trouble costs then.

use std::process::Command;
use std::time::Duration;

use helixflow_node::device::Patience;
use serde_json::json;

use crate::child;
use crate::world::{PATIENCE, World, read, within};

#[tokio::test]
async fn a_board_that_does_not_answer_is_left_out_and_the_others_are_there() {
    for call in ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetUUID"] {
        let world = World::new(json!([{ "errors": { call: 15 } }, {}]));
        let gpus = world.gpus().await;
        let ids: Vec<_> = gpus.boards().iter().map(|board| board.info().board.to_string()).collect();
        assert_eq!(ids, ["GPU-1"], "{call}");
    }
}

#[tokio::test]
async fn limits_that_the_driver_refuses_are_unknown() {
    let calls = [
        "nvmlDeviceGetName",
        "nvmlDeviceGetTemperatureThreshold",
        "nvmlDeviceGetPowerManagementLimitConstraints",
        "nvmlDeviceGetSupportedMemoryClocks",
        "nvmlDeviceGetMaxClockInfo",
    ];
    for call in calls {
        // Without the margin nothing is told relative to it either.
        let errors = json!({ call: 999, "nvmlDeviceGetMarginTemperature": 999 });
        let world = World::new(json!([{ "errors": errors }]));
        let gpus = world.gpus().await;
        let info = gpus.boards()[0].info().clone();
        let limits = info.limits;
        match call {
            "nvmlDeviceGetName" => assert_eq!(info.name, "NVIDIA GPU"),
            "nvmlDeviceGetTemperatureThreshold" => {
                assert_eq!((limits.operating, limits.slowdown, limits.memory), (None, None, None));
            }
            "nvmlDeviceGetPowerManagementLimitConstraints" => assert_eq!(limits.power_least, None),
            "nvmlDeviceGetSupportedMemoryClocks" => assert_eq!(limits.clock_least, None),
            _ => assert_eq!(limits.clock_most, None),
        }
        read(&gpus.boards()[0]).await.expect("a reading");
    }
}

#[tokio::test]
async fn a_board_that_hangs_when_it_is_opened_keeps_a_node_from_no_other() {
    let calls = [
        "nvmlDeviceGetHandleByIndex_v2",
        "nvmlDeviceGetUUID",
        "nvmlDeviceGetName",
        "nvmlDeviceRegisterEvents",
    ];
    for call in calls {
        let world = World::new(json!([{ "blocked": [call] }, {}]));
        let gpus = world.gpus_with(Patience { all_open: Duration::from_millis(100), ..PATIENCE }).await;
        let boards = gpus.boards();
        let ids: Vec<_> = boards.iter().map(|board| board.info().board.to_string()).collect();
        assert_eq!(ids, ["GPU-1"], "{call}");
        read(&boards[0]).await.expect("a reading");
    }
}

#[tokio::test]
async fn a_driver_that_does_not_start_is_tried_again_until_it_does() {
    for call in ["nvmlInit_v2", "nvmlDeviceGetCount_v2"] {
        let world = World::new(json!([{}]));
        world.script.change(|script| script["errors"] = json!({ call: 9 }));
        let mut gpus = world.gpus().await;
        assert!(gpus.boards().is_empty(), "{call}");
        world.script.change(|script| script["errors"] = json!({}));
        let boards = within(gpus.come_late()).await;
        read(&boards[0]).await.expect("a reading");
    }
}

#[tokio::test]
async fn a_driver_that_blocks_at_the_start_holds_the_node_up_no_longer_than_it_is_patient() {
    let world = World::new(json!([{}]));
    world.script.change(|script| script["blocked"] = json!(["nvmlInit_v2"]));
    let patience = Patience { start: Duration::from_millis(300), ..PATIENCE };
    let mut gpus = world.gpus_with(patience).await;
    assert!(gpus.boards().is_empty());
    world.script.change(|script| script["blocked"] = json!([]));
    let boards = within(gpus.come_late()).await;
    read(&boards[0]).await.expect("a reading");
}

#[tokio::test]
async fn a_process_that_never_opens_the_drivers_is_replaced() {
    let world = World::new(json!([{}]));
    world.script.change(|script| script["held"] = json!(["nvmlInit_v2"]));
    let patience = Patience { start: Duration::from_millis(100), open: Duration::from_secs(2), ..PATIENCE };
    let mut gpus = world.gpus_with(patience).await;
    // The first process is held for ever, whatever the script says from now on, unless it has yet to begin.
    world.script.change(|script| script["held"] = json!([]));
    let boards = within(gpus.come_late()).await;
    read(&boards[0]).await.expect("a reading");
}

#[test]
fn a_node_whose_file_is_replaced_reads_its_gpus_with_the_build_that_it_is_itself() {
    let world = World::new(json!([{}]));
    let copy = world.folder.path().join("node");
    let this = std::env::current_exe().expect("this test program's file");
    std::fs::copy(this, &copy).expect("a copy");
    let mut command = Command::new(copy);
    command.args(["--exact", child::UPGRADED, "--ignored"]).envs(world.program().environment);
    let output = command.output().expect("a program that runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn a_machine_without_gpus_has_none_and_is_not_asked_again() {
    let world = World::new(json!([]));
    let gpus = world.gpus().await;
    assert!(gpus.boards().is_empty());
}
