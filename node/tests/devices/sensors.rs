//! What NVML says becomes a reading, and a call that fails takes no other sensor along.

use helixflow_model::{
    BoardLimits, BoardReading, Bytes, ClockReasons, DeviceId, DeviceReading, EccErrors, MegaHertz,
    MilliCelsius, MilliWatts, Partition, PcieLink, Permille, RowRemapping, Sensed,
};
use serde_json::{Value, json};

use crate::world::{World, read};

/// NVML's codes.
const NOT_SUPPORTED: u32 = 3;
const UNKNOWN: u32 = 999;

/// Each call of a reading, and what of it is lost when the call fails.
const CALLS: &[(&str, &str)] = &[
    ("nvmlDeviceGetTemperature", "core"),
    ("nvmlDeviceGetFieldValues:82", "memory"),
    ("nvmlDeviceGetMarginTemperature", "margin"),
    ("nvmlDeviceGetEnforcedPowerLimit", "power_limit"),
    ("nvmlDeviceGetUtilizationRates", "utilization"),
    ("nvmlDeviceGetNumFans", "fan"),
    ("nvmlDeviceGetFanSpeed_v2", "fan"),
    ("nvmlDeviceGetCurrentClocksThrottleReasons", "reasons"),
    ("nvmlDeviceGetTotalEccErrors", "ecc"),
    ("nvmlDeviceGetRemappedRows", "remapping"),
    ("nvmlDeviceGetCurrPcieLinkGeneration", "pcie"),
    ("nvmlDeviceGetCurrPcieLinkWidth", "pcie"),
    ("nvmlDeviceGetPcieReplayCounter", "pcie"),
];
/// Calls whose failure takes no sensor along.
const SILENT: &[&str] = &[
    "nvmlDeviceGetMigMode",
    "nvmlEventSetCreate",
    "nvmlDeviceRegisterEvents",
    "nvmlEventSetWait_v2",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetTemperatureThreshold",
];

fn healthy() -> BoardReading {
    BoardReading {
        core: Sensed::Live(MilliCelsius(45_000)),
        memory: Sensed::Live(MilliCelsius(50_000)),
        margin: Sensed::Live(MilliCelsius(42_000)),
        power: Sensed::Live(MilliWatts(310_000)),
        power_limit: Sensed::Live(MilliWatts(700_000)),
        core_clock: Sensed::Live(MegaHertz(1500)),
        memory_clock: Sensed::Live(MegaHertz(2619)),
        utilization: Sensed::Live(Permille(370)),
        fan: Sensed::Live(Permille(350)),
        reasons: Sensed::Live(ClockReasons::POWER_CAP),
        ecc: Sensed::Live(EccErrors { corrected: 3, uncorrected: 0 }),
        remapping: Sensed::Live(RowRemapping { corrected: 1, ..RowRemapping::default() }),
        pcie: Sensed::Live(PcieLink { generation: 5, width: 16, replays: 2 }),
        faults: Vec::new(),
        devices: vec![DeviceReading {
            device: DeviceId::new("GPU-0").expect("a valid id"),
            partition: Partition::Whole,
            memory_total: Bytes(80 << 30),
            memory_used: Bytes(10 << 30),
        }],
    }
}

fn value(reading: &BoardReading) -> Value {
    serde_json::to_value(reading).expect("a reading")
}

#[tokio::test]
async fn a_board_in_good_health_tells_all_that_it_has() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let [board] = gpus.boards().try_into().unwrap_or_else(|_| panic!("one board"));
    let info = board.info();
    assert_eq!((info.board.as_str(), info.name.as_str()), ("GPU-0", "Stub H100"));
    let limits = BoardLimits {
        operating: Some(MilliCelsius(87_000)),
        slowdown: Some(MilliCelsius(89_000)),
        shutdown: Some(MilliCelsius(92_000)),
        memory: Some(MilliCelsius(95_000)),
        power_least: Some(MilliWatts(200_000)),
        power_most: Some(MilliWatts(700_000)),
        clock_least: Some(MegaHertz(210)),
        clock_most: Some(MegaHertz(1980)),
    };
    assert_eq!(info.limits, limits);
    assert_eq!(read(&board).await.expect("a reading"), healthy());
}

#[tokio::test]
async fn limits_that_are_told_relative_to_the_margin_alone_are_the_same_limits() {
    let world = World::new(json!([{ "errors": { "nvmlDeviceGetTemperatureThreshold": NOT_SUPPORTED } }]));
    let gpus = world.gpus().await;
    let limits = gpus.boards()[0].info().limits;
    let told = [limits.operating, limits.slowdown, limits.shutdown];
    assert_eq!(told, [87_000, 89_000, 92_000].map(|limit| Some(MilliCelsius(limit))));
}

#[tokio::test]
async fn a_call_that_fails_takes_only_its_own_sensor_along() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let board = &gpus.boards()[0];
    for (code, word) in [(UNKNOWN, "missing"), (NOT_SUPPORTED, "unsupported")] {
        for (call, sensor) in CALLS {
            world.change(0, "errors", json!({ *call: code }));
            let reading = read(board).await.expect("a reading");
            let mut expected = value(&healthy());
            expected[sensor] = word.into();
            assert_eq!(value(&reading), expected, "{call} with {code}");
        }
        for call in SILENT {
            world.change(0, "errors", json!({ *call: code }));
            assert_eq!(read(board).await.expect("a reading"), healthy(), "{call} with {code}");
        }
    }
}

#[tokio::test]
async fn a_fan_that_turns_faster_than_its_full_speed_is_full() {
    let world = World::new(json!([{ "fan0": 130, "fan1": 104 }]));
    let gpus = world.gpus().await;
    assert_eq!(read(&gpus.boards()[0]).await.expect("a reading").fan, Sensed::Live(Permille(1000)));
}

#[tokio::test]
async fn calls_that_serve_two_sensors_take_both_along() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let board = &gpus.boards()[0];
    world.change(0, "errors", json!({ "nvmlDeviceGetClockInfo": UNKNOWN }));
    let reading = read(board).await.expect("a reading");
    let expected = BoardReading { core_clock: Sensed::Missing, memory_clock: Sensed::Missing, ..healthy() };
    assert_eq!(reading, expected);
    world.change(0, "errors", json!({ "nvmlDeviceGetFieldValues": UNKNOWN }));
    let reading = read(board).await.expect("a reading");
    assert_eq!(reading, BoardReading { memory: Sensed::Missing, power: Sensed::Missing, ..healthy() });
    world.change(0, "errors", json!({ "nvmlDeviceGetMemoryInfo_v2": UNKNOWN }));
    let reading = read(board).await.expect("a reading");
    assert_eq!(reading, BoardReading { devices: Vec::new(), ..healthy() });
}

#[tokio::test]
async fn a_driver_without_the_instant_s_power_gives_the_average() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let board = &gpus.boards()[0];
    for code in [NOT_SUPPORTED, 2] {
        world.change(0, "errors", json!({ "nvmlDeviceGetFieldValues:186": code }));
        assert_eq!(read(board).await.expect("a reading").power, Sensed::Live(MilliWatts(300_000)));
    }
    world.change(0, "errors", json!({ "nvmlDeviceGetFieldValues:186": UNKNOWN }));
    assert_eq!(read(board).await.expect("a reading").power, Sensed::Missing);
    world.change(
        0,
        "errors",
        json!({ "nvmlDeviceGetFieldValues:186": NOT_SUPPORTED, "nvmlDeviceGetPowerUsage": UNKNOWN }),
    );
    assert_eq!(read(board).await.expect("a reading").power, Sensed::Missing);
}

#[tokio::test]
async fn a_board_that_the_driver_has_lost_is_missing_and_no_error() {
    let world = World::new(json!([{}, {}]));
    let gpus = world.gpus().await;
    let boards = gpus.boards();
    world.change(0, "errors", json!({ "nvmlDeviceGetHandleByUUID": 15 }));
    let lost = read(&boards[0]).await.expect("a reading");
    assert!(lost.is_blind() && lost.devices.is_empty(), "{lost:?}");
    assert_eq!((lost.power, lost.reasons), (Sensed::Missing, Sensed::Missing));
    assert!(!read(&boards[1]).await.expect("a reading").is_blind());
    world.change(0, "errors", json!({}));
    assert_eq!(read(&boards[0]).await.expect("a reading"), healthy(), "it has come back");
}

#[tokio::test]
async fn lies_are_passed_on_as_they_are_but_for_shares_above_the_whole() {
    let world = World::new(json!([{}]));
    let gpus = world.gpus().await;
    let board = &gpus.boards()[0];
    world.script.change(|script| {
        script["boards"][0] = json!({
            "uuid": "GPU-0", "temperature0": 250, "margin": -161, "power_instant": 4_000_000, "busy": 300,
            "clock1": 0, "used": 90_i64 << 30, "reasons": 0x68,
        });
    });
    let reading = read(board).await.expect("a reading");
    assert_eq!(reading.core, Sensed::Live(MilliCelsius(250_000)));
    assert_eq!(reading.margin, Sensed::Live(MilliCelsius(-161_000)));
    assert_eq!(reading.power, Sensed::Live(MilliWatts(4_000_000)));
    assert_eq!(reading.utilization, Sensed::Live(Permille(1000)));
    assert_eq!(reading.core_clock, Sensed::Live(MegaHertz(0)));
    assert_eq!(reading.devices[0].memory_used, Bytes(90 << 30));
    assert_eq!(reading.reasons, Sensed::Live(ClockReasons(0x68)));
}
