//! Metrics as whoever collects them reads them, and the page that lists them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::channel::mpsc;
use helixflow_model::{
    Band, BoardId, BoardInfo, BoardLimits, BoardReading, BoardReport, BoardStanding, Bytes, ClockControl,
    ClockReasons, DeviceId, DeviceKind, DeviceReading, Duty, EccErrors, Epoch, FaultEvent, Fence, Generation,
    LoadReport, MegaHertz, MilliCelsius, MilliWatts, ModelId, NodeId, NumericsClass, Partition, PcieLink,
    Permille, Region, ReplicaId, RowRemapping, Sensed,
};
use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;

/// A board with every sensor there is.
fn board() -> BoardReport {
    let reading = BoardReading {
        core: Sensed::Live(MilliCelsius(81_000)),
        memory: Sensed::Live(MilliCelsius(90_000)),
        margin: Sensed::Live(MilliCelsius(6_000)),
        power: Sensed::Live(MilliWatts(640_000)),
        power_limit: Sensed::Live(MilliWatts(700_000)),
        core_clock: Sensed::Live(MegaHertz(1500)),
        memory_clock: Sensed::Live(MegaHertz(2619)),
        utilization: Sensed::Live(Permille(970)),
        fan: Sensed::Live(Permille(300)),
        reasons: Sensed::Live(ClockReasons::SOFTWARE_THERMAL),
        ecc: Sensed::Live(EccErrors { corrected: 3, uncorrected: 1 }),
        remapping: Sensed::Live(RowRemapping { pending: true, ..RowRemapping::default() }),
        pcie: Sensed::Live(PcieLink { generation: 5, width: 16, replays: 7 }),
        faults: vec![FaultEvent { code: 63, count: 2 }],
        devices: vec![DeviceReading {
            device: DeviceId::new("GPU-1").expect("a valid name"),
            partition: Partition::Whole,
            memory_total: Bytes(80 << 30),
            memory_used: Bytes(2 << 30),
        }],
    };
    let limits = BoardLimits {
        slowdown: Some(MilliCelsius(87_000)),
        clock_most: Some(MegaHertz(1980)),
        ..BoardLimits::default()
    };
    let standing = BoardStanding {
        band: Band::Hot,
        duty: Duty::NoNewShards,
        control: ClockControl::Governed,
        target_clock: Some(MegaHertz(1450)),
        forecast: Some(MilliCelsius(84_000)),
        headroom: Some(MilliCelsius(-1_000)),
        speed: Permille(820),
        weight: Permille(1000),
    };
    let id = BoardId::new("GPU-1").expect("a valid name");
    let info = BoardInfo { board: id, name: "H100".to_owned(), kind: DeviceKind::Nvidia, limits };
    BoardReport { info, reading, age: Duration::ZERO, standing }
}

fn replica() -> ReplicaReport {
    ReplicaReport {
        fence: Fence { replica: ReplicaId(1), generation: Generation(1) },
        epoch: Epoch(7),
        model: ModelId::new("m").expect("a valid name"),
        version: "1".to_owned(),
        phase: ReplicaPhase::Ready,
        detail: String::new(),
        numerics: NumericsClass("cpu-1".to_owned()),
        load: LoadReport { queued: 1, active: 2, busy_milli: 2500, ..LoadReport::default() },
        boards: Vec::new(),
    }
}

fn report(sequence: u64, boards: Vec<BoardReport>) -> NodeReport {
    NodeReport {
        node: NodeId(1),
        region: Region::new("eu-1").expect("a valid name"),
        advertise: "127.0.0.1:7001".to_owned(),
        sequence,
        age: Duration::ZERO,
        boards,
        replicas: vec![replica()],
    }
}

/// What `/metrics` shows once these reports were made, each so long after the first; and asked so long after it.
fn shown(reports: &[(Duration, NodeReport)], asked: Duration) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let begun = Instant::now();
    metrics::with_local_recorder(&recorder, || {
        let meter = Meter::default();
        for (after, report) in reports {
            meter.count(report, begun + *after);
        }
        let (_, latest) = reports.last().expect("a report");
        meter.set(latest, begun + asked);
        crate::shard::record_everything(&ModelId::new("m").expect("a valid name"));
    });
    handle.render()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A report of the board after a change to it.
fn changed(sequence: u64, change: impl FnOnce(&mut BoardReport)) -> NodeReport {
    let mut board = board();
    change(&mut board);
    report(sequence, vec![board])
}

/// The value of a series of the board, by the labels beside `board` and `name`.
fn value(text: &str, name: &str, more: &str) -> Option<f64> {
    let series = format!("{name}{{board=\"GPU-1\",name=\"H100\"{more}}} ");
    text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok())
}

fn throttled(text: &str, reason: &str) -> Option<f64> {
    value(text, "helixflow_gpu_throttle_seconds_total", &format!(",reason=\"{reason}\""))
}

#[test]
fn every_documented_metric_is_exported_and_every_exported_one_is_documented() {
    let text = shown(&[(Duration::ZERO, report(1, vec![board()]))], Duration::ZERO);
    let exported: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let page = include_str!("../../../docs/metrics.md");
    let documented: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `helixflow_"))
        .map(|rest| rest.split('`').next().unwrap_or(""))
        .collect();
    let exported: BTreeSet<&str> =
        exported.into_iter().map(|name| name.strip_prefix("helixflow_").unwrap_or(name)).collect();
    assert!(exported.len() > 40, "{text}");
    assert_eq!(exported, documented);
}

#[test]
fn every_reason_band_duty_and_control_that_is_exported_is_documented() {
    let text = shown(&[(Duration::ZERO, report(1, vec![board()]))], Duration::ZERO);
    let page = include_str!("../../../docs/metrics.md");
    for label in ["reason", "band", "duty", "control", "state", "kind"] {
        let start = format!(",{label}=\"");
        let words: BTreeSet<&str> =
            text.lines().filter_map(|line| line.split_once(&start)?.1.split('"').next()).collect();
        assert!(!words.is_empty(), "{label}");
        for word in words {
            assert!(page.contains(word), "{label} {word}");
        }
    }
}

#[test]
fn a_hot_board_is_told_by_values_and_words() {
    let text = shown(&[(Duration::ZERO, report(1, vec![board()]))], seconds(1.5));
    for (name, more, expected) in [
        ("helixflow_gpu_temperature_celsius", "", 81.0),
        ("helixflow_gpu_memory_temperature_celsius", "", 90.0),
        ("helixflow_gpu_core_clock_hertz", "", 1.5e9),
        ("helixflow_gpu_core_clock_target_hertz", "", 1.45e9),
        ("helixflow_gpu_headroom_celsius", "", -1.0),
        ("helixflow_gpu_band", ",band=\"hot\"", 1.0),
        ("helixflow_gpu_band", ",band=\"cool\"", 0.0),
        ("helixflow_gpu_duty", ",duty=\"no-new-shards\"", 1.0),
        ("helixflow_gpu_clock_control", ",control=\"governed\"", 1.0),
        ("helixflow_gpu_faults_total", ",code=\"63\"", 2.0),
        ("helixflow_gpu_reading_age_seconds", "", 1.5),
    ] {
        assert_eq!(value(&text, name, more), Some(expected), "{name}{more} in\n{text}");
    }
}

#[test]
fn a_sensor_that_is_lost_gives_no_number_and_one_that_never_was_gives_no_series() {
    let lost = changed(2, |board| {
        board.reading.core = Sensed::Missing;
        board.reading.power = Sensed::Frozen(MilliWatts(1));
        board.reading.fan = Sensed::Unsupported;
    });
    let text = shown(&[(Duration::ZERO, lost)], Duration::ZERO);
    for name in ["helixflow_gpu_temperature_celsius", "helixflow_gpu_power_watts"] {
        assert!(value(&text, name, "").is_some_and(f64::is_nan), "{name} in\n{text}");
    }
    assert_eq!(value(&text, "helixflow_gpu_fan_ratio", ""), None);
    for state in ["missing", "frozen"] {
        let more = format!(",state=\"{state}\"");
        assert_eq!(value(&text, "helixflow_gpu_faulty_sensors", &more), Some(1.0), "{state}");
    }
}

#[test]
fn throttled_time_and_energy_add_up_from_reading_to_reading() {
    // Hot for 1.2 s, then capped by power at half of it for 1 s, then free.
    let capped = changed(2, |board| {
        board.reading.reasons = Sensed::Live(ClockReasons::POWER_CAP);
        board.reading.power = Sensed::Live(MilliWatts(320_000));
    });
    let free = changed(3, |board| board.reading.reasons = Sensed::Live(ClockReasons::IDLE));
    let reports = [(Duration::ZERO, report(1, vec![board()])), (seconds(1.2), capped), (seconds(2.2), free)];
    let text = shown(&reports, seconds(60.0));
    assert_eq!(throttled(&text, "software-thermal"), Some(1.0), "whole seconds of 1.2");
    assert_eq!(throttled(&text, "power-cap"), Some(1.0));
    assert_eq!(throttled(&text, "hardware-thermal"), Some(0.0), "a rate needs a beginning");
    assert_eq!(throttled(&text, "idle"), None);
    assert_eq!(value(&text, "helixflow_gpu_energy_joules_total", ""), Some(f64::from(768 + 320)));
}

#[test]
fn fractions_of_seconds_are_kept_until_they_make_a_whole_one() {
    let reports: Vec<_> = (0..=40).map(|n| (seconds(0.1) * n, report(n.into(), vec![board()]))).collect();
    assert_eq!(throttled(&shown(&reports, seconds(4.0)), "software-thermal"), Some(4.0));
}

#[test]
fn a_reading_stands_for_five_seconds_at_most() {
    let reports = [(Duration::ZERO, report(1, vec![board()])), (seconds(600.0), report(2, vec![board()]))];
    assert_eq!(throttled(&shown(&reports, seconds(600.0)), "software-thermal"), Some(5.0));
}

#[test]
fn a_reading_that_is_told_again_counts_its_faults_and_its_time_once() {
    let again = changed(2, |board| board.age = seconds(0.25));
    let reports = [(Duration::ZERO, report(1, vec![board()])), (seconds(0.25), again)];
    let text = shown(&reports, seconds(0.25));
    assert_eq!(value(&text, "helixflow_gpu_faults_total", ",code=\"63\""), Some(2.0));
    let next = changed(3, |board| board.age = seconds(0.1));
    let text = shown(&[&reports[..], &[(seconds(1.1), next)]].concat(), seconds(1.1));
    assert_eq!(
        value(&text, "helixflow_gpu_faults_total", ",code=\"63\""),
        Some(4.0),
        "a new one, the same as before"
    );
    assert_eq!(throttled(&text, "software-thermal"), Some(1.0));
}

#[test]
fn codes_beyond_the_bound_are_counted_together() {
    let faults = (0..100).map(|code| FaultEvent { code, count: 1 }).collect();
    let many = changed(1, |board| board.reading.faults = faults);
    let text = shown(&[(Duration::ZERO, many)], Duration::ZERO);
    let series = text.lines().filter(|line| line.starts_with("helixflow_gpu_faults_total{")).count();
    assert_eq!(series, 65);
    assert_eq!(value(&text, "helixflow_gpu_faults_total", ",code=\"other\""), Some(36.0));
}

#[tokio::test]
async fn reports_are_counted_while_nobody_asks() {
    let (reports, told) = mpsc::unbounded();
    let meter = Meter::default();
    let following = {
        let meter = meter.clone();
        tokio::spawn(async move { meter.follow(told).await })
    };
    for sequence in 1..=3 {
        reports.unbounded_send(report(sequence, vec![board()])).expect("somebody who counts");
        let counted = || meter.0.lock().counted.map(|(sequence, _)| sequence);
        while counted() != Some(sequence) {
            tokio::task::yield_now().await;
        }
    }
    drop(reports);
    following.await.expect("it ends with the reports");
}
