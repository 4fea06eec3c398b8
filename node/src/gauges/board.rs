//! What a board's latest reading and its standing are as gauges.
//!
//! A board without a sensor has no series of it. A sensor that is lost or frozen gives NaN: its last value would look like
//! one that still holds.

use std::time::Duration;

use helixflow_model::{
    Band, BoardReading, BoardReport, ClockControl, DeviceReading, Duty, EccErrors, MegaHertz, MilliCelsius,
    MilliWatts, PcieLink, Permille, RowRemapping, Sensed,
};
use metrics::{counter, gauge};

const BANDS: [Band; 4] = [Band::Cool, Band::Warm, Band::Hot, Band::Critical];
const DUTIES: [Duty; 5] = [Duty::Full, Duty::Probation, Duty::NoNewShards, Duty::Drain, Duty::Quarantine];
const CONTROLS: [ClockControl; 3] =
    [ClockControl::MonitorOnly, ClockControl::Governed, ClockControl::Foreign];

/// The labels that every series of a board has.
pub(super) type Labels = [(&'static str, String); 2];

/// A board's labels.
pub(super) fn labels(report: &BoardReport) -> Labels {
    [("board", report.info.board.to_string()), ("name", report.info.name.clone())]
}

/// Those and one more.
pub(super) fn with(labels: &Labels, name: &'static str, value: &str) -> [(&'static str, String); 3] {
    let [board, product] = labels.clone();
    [board, product, (name, value.to_owned())]
}

/// Sets the gauges of a board whose report was made so long ago.
pub(super) fn set(report: &BoardReport, since: Duration) {
    let labels = labels(report);
    gauge!("helixflow_gpu_info", &with(&labels, "kind", report.info.kind.as_str())).set(1.0);
    gauge!("helixflow_gpu_reading_age_seconds", &labels).set((report.age + since).as_secs_f64());
    sensors(&report.reading, &labels);
    memory(&report.reading, &labels);
    limits(report, &labels);
    standing(report, &labels);
}

fn sensors(reading: &BoardReading, labels: &Labels) {
    let sensed = |name: &'static str, value: Sensed<f64>| match value {
        Sensed::Live(value) => gauge!(name, labels).set(value),
        Sensed::Missing | Sensed::Frozen(_) => gauge!(name, labels).set(f64::NAN),
        Sensed::Unsupported => {}
    };
    sensed("helixflow_gpu_temperature_celsius", reading.core.map(celsius));
    sensed("helixflow_gpu_memory_temperature_celsius", reading.memory.map(celsius));
    sensed("helixflow_gpu_slowdown_margin_celsius", reading.margin.map(celsius));
    sensed("helixflow_gpu_power_watts", reading.power.map(watts));
    sensed("helixflow_gpu_power_limit_watts", reading.power_limit.map(watts));
    sensed("helixflow_gpu_core_clock_hertz", reading.core_clock.map(hertz));
    sensed("helixflow_gpu_memory_clock_hertz", reading.memory_clock.map(hertz));
    sensed("helixflow_gpu_utilization_ratio", reading.utilization.map(ratio));
    sensed("helixflow_gpu_fan_ratio", reading.fan.map(ratio));
    let states = states(reading);
    let count = |wanted| states.iter().filter(|state| **state == Some(wanted)).count() as f64;
    gauge!("helixflow_gpu_faulty_sensors", &with(labels, "state", "missing")).set(count("missing"));
    gauge!("helixflow_gpu_faulty_sensors", &with(labels, "state", "frozen")).set(count("frozen"));
}

/// What is wrong with each sensor.
fn states(reading: &BoardReading) -> [Option<&'static str>; 13] {
    fn state<T>(value: &Sensed<T>) -> Option<&'static str> {
        match value {
            Sensed::Missing => Some("missing"),
            Sensed::Frozen(_) => Some("frozen"),
            Sensed::Unsupported | Sensed::Live(_) => None,
        }
    }
    [
        state(&reading.core),
        state(&reading.memory),
        state(&reading.margin),
        state(&reading.power),
        state(&reading.power_limit),
        state(&reading.core_clock),
        state(&reading.memory_clock),
        state(&reading.utilization),
        state(&reading.fan),
        state(&reading.reasons),
        state(&reading.ecc),
        state(&reading.remapping),
        state(&reading.pcie),
    ]
}

/// Memory, its faults, and the way to it.
fn memory(reading: &BoardReading, labels: &Labels) {
    let sum = |bytes: fn(&DeviceReading) -> u64| reading.devices.iter().map(bytes).sum::<u64>() as f64;
    gauge!("helixflow_gpu_memory_total_bytes", labels).set(sum(|device| device.memory_total.0));
    gauge!("helixflow_gpu_memory_used_bytes", labels).set(sum(|device| device.memory_used.0));
    if let Some(EccErrors { corrected, uncorrected }) = reading.ecc.live() {
        let errors = |kind| counter!("helixflow_gpu_ecc_errors_total", &with(labels, "kind", kind));
        errors("corrected").absolute(corrected);
        errors("uncorrected").absolute(uncorrected);
    }
    if let Some(RowRemapping { corrected, uncorrected, pending, failed }) = reading.remapping.live() {
        let rows = |kind| gauge!("helixflow_gpu_remapped_rows", &with(labels, "kind", kind));
        rows("corrected").set(f64::from(corrected));
        rows("uncorrected").set(f64::from(uncorrected));
        gauge!("helixflow_gpu_row_remap_pending", labels).set(f64::from(u8::from(pending)));
        gauge!("helixflow_gpu_row_remap_failed", labels).set(f64::from(u8::from(failed)));
    }
    if let Some(PcieLink { generation, width, replays }) = reading.pcie.live() {
        gauge!("helixflow_gpu_pcie_generation", labels).set(f64::from(generation));
        gauge!("helixflow_gpu_pcie_lanes", labels).set(f64::from(width));
        counter!("helixflow_gpu_pcie_replays_total", labels).absolute(u64::from(replays));
    }
}

fn limits(report: &BoardReport, labels: &Labels) {
    let limits = report.info.limits;
    for (limit, value) in [
        ("operating", limits.operating),
        ("slowdown", limits.slowdown),
        ("shutdown", limits.shutdown),
        ("memory", limits.memory),
    ] {
        if let Some(value) = value {
            let labels = with(labels, "limit", limit);
            gauge!("helixflow_gpu_temperature_limit_celsius", &labels).set(celsius(value));
        }
    }
    if let Some(most) = limits.clock_most {
        gauge!("helixflow_gpu_core_clock_max_hertz", labels).set(hertz(most));
    }
}

fn standing(report: &BoardReport, labels: &Labels) {
    let standing = report.standing;
    let state = |name: &'static str, label, word: &str, holds: bool| {
        gauge!(name, &with(labels, label, word)).set(f64::from(u8::from(holds)));
    };
    for band in BANDS {
        state("helixflow_gpu_band", "band", band.as_str(), band == standing.band);
    }
    for duty in DUTIES {
        state("helixflow_gpu_duty", "duty", duty.as_str(), duty == standing.duty);
    }
    for control in CONTROLS {
        state("helixflow_gpu_clock_control", "control", control.as_str(), control == standing.control);
    }
    gauge!("helixflow_gpu_speed_ratio", labels).set(ratio(standing.speed));
    gauge!("helixflow_gpu_weight_ratio", labels).set(ratio(standing.weight));
    // NaN where there is none any more: a forecast that has ended is no forecast.
    let told = |value: Option<MilliCelsius>| value.map_or(f64::NAN, celsius);
    gauge!("helixflow_gpu_forecast_celsius", labels).set(told(standing.forecast));
    gauge!("helixflow_gpu_headroom_celsius", labels).set(told(standing.headroom));
    let target = standing.target_clock.or(report.info.limits.clock_most);
    gauge!("helixflow_gpu_core_clock_target_hertz", labels).set(target.map_or(f64::NAN, hertz));
}

fn celsius(value: MilliCelsius) -> f64 {
    f64::from(value.0) / 1000.0
}

fn watts(value: MilliWatts) -> f64 {
    f64::from(value.0) / 1000.0
}

fn hertz(value: MegaHertz) -> f64 {
    f64::from(value.0) * 1e6
}

fn ratio(value: Permille) -> f64 {
    f64::from(value.0) / 1000.0
}
