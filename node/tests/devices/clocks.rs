//! Acting on clocks: written down, set, undone; by the next start where the node was killed.

use std::path::Path;
use std::sync::Arc;

use helixflow_actors::{Board, ClockError};
use helixflow_control::HeldBy;
use helixflow_env::Disk;
use helixflow_env::disk::{MemoryDisk, RealDisk};
use helixflow_model::MegaHertz;
use helixflow_node::device::Gpus;
use serde_json::{Value, json};

use crate::world::{PATIENCE, World, within};

/// NVML's code for a process without the right.
const NO_PERMISSION: u32 = 4;

async fn limit(gpus: &Gpus, clock: Option<u32>) -> Result<HeldBy, ClockError> {
    let board: Arc<dyn Board> = Arc::clone(&gpus.boards()[0]);
    within(board.limit_clock(clock.map(MegaHertz))).await
}

/// What the journal holds of each board.
fn journal(folder: &Path) -> Value {
    let bytes = RealDisk.read(&folder.join("clocks.json")).unwrap_or_else(|_| b"{\"boards\":{}}".to_vec());
    let file: Value = serde_json::from_slice(&bytes).expect("a journal");
    file["boards"].clone()
}

/// The node is gone before it could undo anything.
fn kill(gpus: Gpus) {
    drop(gpus);
}

#[tokio::test]
async fn a_clock_is_written_down_set_and_freed() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    let by = within(boards[0].limit_clock(Some(MegaHertz(1200)))).await.expect("a clock that is set");
    assert_eq!(by, HeldBy::Clock);
    within(boards[0].limit_clock(Some(MegaHertz(900)))).await.expect("another one");
    assert_eq!(journal(world.folder.path()), json!({ "GPU-0": "locked-clock" }));
    within(boards[0].limit_clock(None)).await.expect("a clock that is freed");
    let set = [
        "SetGpuLockedClocks GPU-0 210 1200",
        "SetGpuLockedClocks GPU-0 210 900",
        "ResetGpuLockedClocks GPU-0",
    ];
    assert_eq!(world.script.set(), set);
    assert_eq!(journal(world.folder.path()), json!({}));
}

#[tokio::test]
async fn the_next_start_undoes_what_a_killed_node_left() {
    let world = World::new(json!([{}, {}]));
    let gpus = world.gpus().await;
    limit(&gpus, Some(1200)).await.expect("a clock that is set");
    kill(gpus);
    assert_eq!(journal(world.folder.path()), json!({ "GPU-0": "locked-clock" }));
    let _next = world.gpus().await;
    assert_eq!(world.script.set(), ["SetGpuLockedClocks GPU-0 210 1200", "ResetGpuLockedClocks GPU-0"]);
    assert_eq!(journal(world.folder.path()), json!({}));
}

#[tokio::test]
async fn what_cannot_be_undone_stays_written_down() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    limit(&gpus, Some(1200)).await.expect("a clock that is set");
    world.change(0, "errors", json!({ "nvmlDeviceResetGpuLockedClocks": 999 }));
    let still_set = within(gpus.release()).await;
    assert_eq!(still_set[0].board.as_str(), "GPU-0");
    let said = still_set[0].to_string();
    assert!(said.contains("nvidia-smi -rgc -i GPU-0"), "{said}");
    assert_eq!(journal(world.folder.path()), json!({ "GPU-0": "locked-clock" }));
    world.change(0, "errors", json!({}));
    assert_eq!(within(gpus.release()).await.len(), 0);
    assert_eq!(journal(world.folder.path()), json!({}));
}

#[tokio::test]
async fn what_could_not_be_undone_at_the_start_is_undone_when_the_board_is_first_let_go() {
    let world = World::new(json!([{}, {}]));
    let gpus = world.gpus().await;
    limit(&gpus, Some(1200)).await.expect("a clock that is set");
    kill(gpus);
    world.change(0, "errors", json!({ "nvmlDeviceResetGpuLockedClocks": 999 }));
    let next = world.gpus().await;
    world.change(0, "errors", json!({}));
    for board in next.boards() {
        within(board.limit_clock(None)).await.expect("clocks that may be set");
    }
    let set = [
        "SetGpuLockedClocks GPU-0 210 1200",
        "ResetGpuLockedClocks GPU-0",
        "SetPowerManagementLimit GPU-1 700000",
    ];
    assert_eq!(world.script.set(), set, "the other board, on which nothing is ours, is only asked");
    assert_eq!(journal(world.folder.path()), json!({}));
}

#[tokio::test]
async fn a_lock_that_was_left_to_somebody_else_is_not_undone_and_a_power_limit_of_ours_still_is() {
    let world = World::new(json!([{}, { "errors": { "nvmlDeviceSetGpuLockedClocks": 3 } }]));
    let gpus = world.gpus().await;
    for board in gpus.boards() {
        within(board.limit_clock(Some(MegaHertz(1095)))).await.expect("a clock that is held");
        board.leave_clock();
    }
    assert_eq!(within(gpus.release()).await.len(), 0);
    let set = [
        "SetGpuLockedClocks GPU-0 210 1095",
        "SetPowerManagementLimit GPU-1 450000",
        "SetPowerManagementLimit GPU-1 700000",
    ];
    assert_eq!(world.script.set(), set);
    assert_eq!(journal(world.folder.path()), json!({}));
}

#[tokio::test]
async fn without_the_right_nothing_is_set_and_the_reason_is_told() {
    let world = World::new(json!([{}]));
    let errors = [
        ("nvmlDeviceSetGpuLockedClocks", NO_PERMISSION),
        ("nvmlDeviceResetGpuLockedClocks", NO_PERMISSION),
        ("nvmlDeviceSetPowerManagementLimit", NO_PERMISSION),
    ];
    world.change(
        0,
        "errors",
        Value::Object(errors.map(|(call, code)| (call.into(), code.into())).into_iter().collect()),
    );
    let gpus = world.gpus().await;
    for clock in [None, Some(1200)] {
        let refused = limit(&gpus, clock).await;
        let Err(ClockError::NotPermitted { why }) = refused else { panic!("{clock:?}: {refused:?}") };
        assert!(why.contains("only root"), "{why}");
    }
    assert_eq!((world.script.set(), journal(world.folder.path())), (Vec::new(), json!({})));
}

#[tokio::test]
async fn asking_for_a_free_clock_that_nobody_of_us_holds_changes_nothing() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    limit(&gpus, None).await.expect("a node that may set clocks");
    assert_eq!(world.script.set(), ["SetPowerManagementLimit GPU-0 700000"], "the limit that stands already");
}

#[tokio::test]
async fn a_board_whose_clock_cannot_be_locked_is_held_by_its_power_limit() {
    let world = World::new(json!([{ "errors": { "nvmlDeviceSetGpuLockedClocks": 3 } }]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    for clock in [1095, 210, 1980] {
        let by = within(boards[0].limit_clock(Some(MegaHertz(clock)))).await.expect("a limit that is set");
        assert_eq!(by, HeldBy::Power);
    }
    let journalled = journal(world.folder.path());
    assert_eq!(journalled["GPU-0"]["power-limit"]["before"], 700_000);
    kill(gpus);
    let _next = world.gpus().await;
    let limits: Vec<_> =
        world.script.set().iter().filter_map(|line| line.rsplit(' ').next().map(str::to_owned)).collect();
    assert_eq!(
        limits,
        ["450000", "200000", "700000"],
        "the last one is what stood before, and is left as it is"
    );
    assert_eq!(journal(world.folder.path()), json!({}));
}

#[tokio::test]
async fn a_power_limit_that_an_operator_has_lowered_is_never_raised() {
    let errors = json!({ "nvmlDeviceSetGpuLockedClocks": 3 });
    let world = World::new(json!([{ "errors": errors, "power_limit_now": 400_000 }]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    for clock in [1980, 1891, 1095, 210] {
        within(boards[0].limit_clock(Some(MegaHertz(clock)))).await.expect("a limit that is set");
    }
    let limits = world.script.set();
    let limits: Vec<_> = limits.iter().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(limits, ["400000", "389000", "300000", "200000"], "95 % of 700 W would be 675 W");
}

#[tokio::test]
async fn a_power_limit_is_put_back_by_the_next_start() {
    let world = World::new(json!([{ "errors": { "nvmlDeviceSetGpuLockedClocks": 3 } }]));
    let gpus = world.gpus().await;
    limit(&gpus, Some(1095)).await.expect("a limit that is set");
    kill(gpus);
    let _next = world.gpus().await;
    let set = ["SetPowerManagementLimit GPU-0 450000", "SetPowerManagementLimit GPU-0 700000"];
    assert_eq!(world.script.set(), set);
}

#[tokio::test]
async fn a_power_limit_that_cannot_be_put_back_says_how_to_do_it_by_hand() {
    let world = World::new(json!([{ "errors": { "nvmlDeviceSetGpuLockedClocks": 3 } }]));
    let gpus = world.gpus().await;
    limit(&gpus, Some(1095)).await.expect("a limit that is set");
    world.change(0, "errors", json!({ "nvmlDeviceSetPowerManagementLimit": 999 }));
    let said = within(gpus.release()).await[0].to_string();
    assert!(said.contains("nvidia-smi -i GPU-0 -pl 700") && !said.contains("-rgc"), "{said}");
}

#[tokio::test]
async fn a_lock_that_is_written_down_of_a_board_that_cannot_lock_is_forgotten() {
    let world = World::new(json!([{ "errors": { "nvmlDeviceResetGpuLockedClocks": 3 } }]));
    let written = br#"{"format": 1, "boards": {"GPU-0": "locked-clock"}}"#;
    RealDisk.write_durably(&world.folder.path().join("clocks.json"), written).expect("a journal");
    let gpus = world.gpus().await;
    assert_eq!(journal(world.folder.path()), json!({}));
    assert_eq!(within(gpus.release()).await.len(), 0);
}

#[tokio::test]
async fn a_clock_that_was_locked_before_the_machine_was_restarted_is_left_to_whoever_has_locked_it_since() {
    let world = World::new(json!([{}]));
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    let (node, random) = (Path::new("/node"), Path::new("/proc/sys/kernel/random"));
    for folder in [node, random] {
        disk.create_dir_all(folder).expect("a folder");
    }
    let boot = |id: &[u8]| disk.write_durably(&random.join("boot_id"), id).expect("a write");
    let start = async || {
        let gpus = Gpus::find(world.program(), PATIENCE, Arc::clone(&disk), node);
        within(gpus).await.expect("a journal that can be read")
    };
    boot(b"one\n");
    let gpus = start().await;
    limit(&gpus, Some(1200)).await.expect("a clock that is set");
    kill(gpus);
    boot(b"two\n");
    let next = start().await;
    assert_eq!(within(next.release()).await.len(), 0);
    assert_eq!(world.script.set(), ["SetGpuLockedClocks GPU-0 210 1200"]);
    limit(&next, Some(1200)).await.expect("a clock that is set");
    kill(next);
    let _same_boot = start().await;
    assert_eq!(world.script.set().last().map(String::as_str), Some("ResetGpuLockedClocks GPU-0"));
}

#[tokio::test]
async fn of_a_board_that_is_not_there_any_more_it_is_told_how_to_forget_it() {
    let world = World::new(json!([{}]));
    let written = br#"{"format": 1, "boards": {"GPU-0": "locked-clock", "GPU-1": "locked-clock"}}"#;
    let file = world.folder.path().join("clocks.json");
    RealDisk.write_durably(&file, written).expect("a journal");
    world.change(0, "errors", json!({ "nvmlDeviceResetGpuLockedClocks": 999 }));
    let gpus = world.gpus().await;
    let told: Vec<String> = within(gpus.release()).await.iter().map(ToString::to_string).collect();
    let [here, gone] = &told[..] else { panic!("two boards: {told:?}") };
    assert!(!here.contains("taken out"), "{here}");
    for words in ["taken out", &file.display().to_string()] {
        assert!(gone.contains(words), "{words} in {gone}");
    }
}

#[tokio::test]
async fn somebody_else_s_power_limit_is_neither_fought_nor_undone() {
    let world = World::new(json!([{ "errors": { "nvmlDeviceSetGpuLockedClocks": 3 } }]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    within(boards[0].limit_clock(Some(MegaHertz(1095)))).await.expect("a limit that is set");
    world.change(0, "power_limit_now", json!(600_000));
    for _ in 0..2 {
        let refused = within(boards[0].limit_clock(Some(MegaHertz(500)))).await;
        let Err(ClockError::NotPermitted { why }) = refused else { panic!("{refused:?}") };
        assert!(why.contains("somebody else"), "{why}");
    }
    assert_eq!(within(gpus.release()).await.len(), 0);
    assert_eq!(world.script.set(), ["SetPowerManagementLimit GPU-0 450000"]);
}

#[tokio::test]
async fn a_setting_that_fails_is_tried_again_and_stays_written_down_meanwhile() {
    let world = World::new(json!([{ "errors": { "nvmlDeviceSetGpuLockedClocks": 999 } }]));
    let gpus = world.gpus().await;
    let failed = limit(&gpus, Some(1200)).await;
    assert!(matches!(failed, Err(ClockError::Failed(_))), "{failed:?}");
    assert_eq!(journal(world.folder.path()), json!({ "GPU-0": "locked-clock" }), "nobody knows what it did");
    world.change(0, "errors", json!({}));
    limit(&gpus, Some(1200)).await.expect("a clock that is set");
}
