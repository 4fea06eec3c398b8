//! A divided board: its instances are the devices, heat and clocks stay the board's.

use helixflow_model::{Bytes, MilliCelsius, Partition, Sensed};
use serde_json::{Value, json};

use crate::world::{World, read};

fn divided() -> Value {
    json!([{ "mig": [
        { "uuid": "MIG-a", "total": 40_i64 << 30, "used": 1 << 30 },
        null,
        { "uuid": "MIG-b", "total": 20_i64 << 30, "used": 2_i64 << 30 },
    ] }])
}

#[tokio::test]
async fn the_devices_of_a_divided_board_are_its_instances() {
    let world = World::new(divided());
    let gpus = world.gpus().await;
    let reading = read(&gpus.boards()[0]).await.expect("a reading");
    let devices: Vec<_> = reading
        .devices
        .iter()
        .map(|device| (device.device.as_str(), device.partition, device.memory_total, device.memory_used))
        .collect();
    let expected = [
        ("MIG-a", Partition::Mig, Bytes(40 << 30), Bytes(1 << 30)),
        ("MIG-b", Partition::Mig, Bytes(20 << 30), Bytes(2 << 30)),
    ];
    assert_eq!(devices, expected);
    assert_eq!(reading.core, Sensed::Live(MilliCelsius(45_000)));
    assert_eq!(reading.utilization, Sensed::Unsupported);
}

#[tokio::test]
async fn an_error_does_not_make_a_divided_board_whole() {
    let world = World::new(divided());
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    read(&boards[0]).await.expect("a reading");
    world.change(0, "errors", json!({ "nvmlDeviceGetMigMode": 999 }));
    assert_eq!(read(&boards[0]).await.expect("a reading").devices.len(), 2);
    world.change(0, "errors", json!({ "nvmlDeviceGetMaxMigDeviceCount": 999 }));
    assert_eq!(read(&boards[0]).await.expect("a reading").devices, []);
    world.change(0, "errors", json!({ "nvmlDeviceGetMigDeviceHandleByIndex": 999 }));
    assert_eq!(read(&boards[0]).await.expect("a reading").devices, []);
}

#[tokio::test]
async fn a_board_that_is_divided_while_the_node_runs_is_seen_as_such() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    assert_eq!(read(&boards[0]).await.expect("a reading").devices[0].partition, Partition::Whole);
    world.change(0, "mig", divided()[0]["mig"].clone());
    assert_eq!(read(&boards[0]).await.expect("a reading").devices[1].partition, Partition::Mig);
}
