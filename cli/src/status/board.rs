//! A board in the form of `status --json`: every sensor (null where there is none), limits, and what its node makes of it.
//!
//! Words are those of `helixflow_model`; what an older or newer node says that this build has no word for is "unknown".

use helixflow_model::{Band, ClockControl, ClockReasons, DeviceKind, Duty};
use helixflow_proto::v1::{self, Partition, Sensor};
use serde::Serialize;

/// What a value is called that this build has no word for.
const UNKNOWN: &str = "unknown";

/// One board. A sensor's value is null where the board has none, or where the sensor is named in `missing`; one that is
/// named in `frozen` is what was read and is not to be trusted.
#[derive(Debug, Serialize)]
pub(crate) struct Board {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) temperature_celsius: Option<f64>,
    pub(crate) memory_temperature_celsius: Option<f64>,
    /// To the hardware's slowdown, as the driver tells it.
    pub(crate) margin_celsius: Option<f64>,
    pub(crate) power_watts: Option<f64>,
    pub(crate) power_limit_watts: Option<f64>,
    pub(crate) core_clock_mhz: Option<u32>,
    pub(crate) memory_clock_mhz: Option<u32>,
    /// Share of time busy, 0 to 1.
    pub(crate) utilization: Option<f64>,
    /// Share of the fan's full speed, 0 to 1.
    pub(crate) fan: Option<f64>,
    /// What holds the clock down; empty where nothing does, null where the board does not tell.
    pub(crate) reasons: Option<Vec<&'static str>>,
    pub(crate) ecc: Option<Ecc>,
    pub(crate) remapping: Option<Remapping>,
    pub(crate) pcie: Option<Pcie>,
    /// What the driver told of since the reading before; for NVIDIA the code is an XID.
    pub(crate) faults: Vec<Fault>,
    /// Sensors that worked before and give errors now.
    pub(crate) missing: Vec<&'static str>,
    /// Sensors whose value has stood still while the board has not.
    pub(crate) frozen: Vec<&'static str>,
    pub(crate) limits: Limits,
    pub(crate) band: &'static str,
    pub(crate) duty: &'static str,
    /// Who decides on the clock: "monitor-only" is nobody but the firmware.
    pub(crate) clock_control: &'static str,
    /// Null where the governor asks for the highest.
    pub(crate) target_clock_mhz: Option<u32>,
    /// The temperature that is expected some seconds ahead.
    pub(crate) forecast_celsius: Option<f64>,
    /// From the forecast to where heat costs speed; negative beyond.
    pub(crate) headroom_celsius: Option<f64>,
    /// That it is expected to hold, of the one at the highest clock, 0 to 1.
    pub(crate) speed: f64,
    /// How much its word counts, 0 to 1: less while its readings are late.
    pub(crate) weight: f64,
    /// How old the reading was as this answer was given; null where the node never reported.
    pub(crate) reading_age_ms: Option<u64>,
    /// Of all its devices; null where none is told, as of boards of other regions.
    pub(crate) memory_total_bytes: Option<u64>,
    pub(crate) memory_used_bytes: Option<u64>,
    pub(crate) devices: Vec<Device>,
}

/// What the board must keep to; null where the driver does not tell.
#[derive(Debug, Serialize)]
pub(crate) struct Limits {
    pub(crate) operating_celsius: Option<f64>,
    pub(crate) slowdown_celsius: Option<f64>,
    pub(crate) shutdown_celsius: Option<f64>,
    pub(crate) memory_celsius: Option<f64>,
    pub(crate) power_least_watts: Option<f64>,
    pub(crate) power_most_watts: Option<f64>,
    pub(crate) clock_least_mhz: Option<u32>,
    pub(crate) clock_most_mhz: Option<u32>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Ecc {
    pub(crate) corrected: u64,
    pub(crate) uncorrected: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Remapping {
    pub(crate) corrected: u32,
    pub(crate) uncorrected: u32,
    pub(crate) pending: bool,
    pub(crate) failed: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Pcie {
    pub(crate) generation: u32,
    pub(crate) width: u32,
    pub(crate) replays: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Fault {
    pub(crate) code: u32,
    pub(crate) count: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) partition: &'static str,
    pub(crate) memory_total_bytes: u64,
    pub(crate) memory_used_bytes: u64,
}

impl Board {
    /// As its node told of it in a report that is `report_age_ms` old.
    pub(super) fn told(wire: v1::BoardReport, report_age_ms: Option<u64>) -> Self {
        let kind = DeviceKind::try_from(wire.kind()).map_or(UNKNOWN, DeviceKind::as_str);
        let reading_age_ms = report_age_ms.map(|age| age.saturating_add(wire.age_ms));
        let standing = wire.standing.unwrap_or_default();
        let reading = wire.reading.unwrap_or_default();
        let devices: Vec<Device> = reading.devices.iter().cloned().map(Into::into).collect();
        Self {
            id: wire.board,
            name: wire.name,
            kind,
            temperature_celsius: reading.core_millicelsius.map(degrees),
            memory_temperature_celsius: reading.memory_millicelsius.map(degrees),
            margin_celsius: reading.margin_millicelsius.map(degrees),
            power_watts: reading.power_milliwatts.map(thousandths),
            power_limit_watts: reading.power_limit_milliwatts.map(thousandths),
            core_clock_mhz: reading.core_clock_mhz,
            memory_clock_mhz: reading.memory_clock_mhz,
            utilization: reading.utilization_permille.map(thousandths),
            fan: reading.fan_permille.map(thousandths),
            reasons: reading.reasons.map(|bits| ClockReasons(bits).names().collect()),
            missing: reading.missing().map(sensor).collect(),
            frozen: reading.frozen().map(sensor).collect(),
            ecc: reading.ecc.map(Into::into),
            remapping: reading.remapping.map(Into::into),
            pcie: reading.pcie.map(Into::into),
            faults: reading.faults.into_iter().map(Into::into).collect(),
            limits: wire.limits.unwrap_or_default().into(),
            band: Band::try_from(standing.band()).map_or(UNKNOWN, Band::as_str),
            duty: Duty::try_from(standing.duty()).map_or(UNKNOWN, Duty::as_str),
            clock_control: ClockControl::try_from(standing.control()).map_or(UNKNOWN, ClockControl::as_str),
            target_clock_mhz: standing.target_clock_mhz,
            forecast_celsius: standing.forecast_millicelsius.map(degrees),
            headroom_celsius: standing.headroom_millicelsius.map(degrees),
            speed: thousandths(standing.speed_permille),
            weight: thousandths(standing.weight_permille),
            reading_age_ms,
            memory_total_bytes: of_all(&devices, |device| device.memory_total_bytes),
            memory_used_bytes: of_all(&devices, |device| device.memory_used_bytes),
            devices,
        }
    }
}

fn of_all(devices: &[Device], bytes: impl Fn(&Device) -> u64) -> Option<u64> {
    (!devices.is_empty()).then(|| devices.iter().map(bytes).sum())
}

fn degrees(milli: i32) -> f64 {
    f64::from(milli) / 1000.0
}

fn thousandths(milli: u32) -> f64 {
    f64::from(milli) / 1000.0
}

const fn sensor(sensor: Sensor) -> &'static str {
    match sensor {
        Sensor::Unspecified => UNKNOWN,
        Sensor::Core => "core",
        Sensor::Memory => "memory",
        Sensor::Margin => "margin",
        Sensor::Power => "power",
        Sensor::PowerLimit => "power-limit",
        Sensor::CoreClock => "core-clock",
        Sensor::MemoryClock => "memory-clock",
        Sensor::Utilization => "utilization",
        Sensor::Fan => "fan",
        Sensor::Reasons => "reasons",
        Sensor::Ecc => "ecc",
        Sensor::Remapping => "remapping",
        Sensor::Pcie => "pcie",
    }
}

impl From<v1::BoardLimits> for Limits {
    fn from(wire: v1::BoardLimits) -> Self {
        Self {
            operating_celsius: wire.operating_millicelsius.map(degrees),
            slowdown_celsius: wire.slowdown_millicelsius.map(degrees),
            shutdown_celsius: wire.shutdown_millicelsius.map(degrees),
            memory_celsius: wire.memory_millicelsius.map(degrees),
            power_least_watts: wire.power_least_milliwatts.map(thousandths),
            power_most_watts: wire.power_most_milliwatts.map(thousandths),
            clock_least_mhz: wire.clock_least_mhz,
            clock_most_mhz: wire.clock_most_mhz,
        }
    }
}

impl From<v1::EccErrors> for Ecc {
    fn from(v1::EccErrors { corrected, uncorrected }: v1::EccErrors) -> Self {
        Self { corrected, uncorrected }
    }
}

impl From<v1::RowRemapping> for Remapping {
    fn from(v1::RowRemapping { corrected, uncorrected, pending, failed }: v1::RowRemapping) -> Self {
        Self { corrected, uncorrected, pending, failed }
    }
}

impl From<v1::PcieLink> for Pcie {
    fn from(v1::PcieLink { generation, width, replays }: v1::PcieLink) -> Self {
        Self { generation, width, replays }
    }
}

impl From<v1::FaultEvent> for Fault {
    fn from(v1::FaultEvent { code, count }: v1::FaultEvent) -> Self {
        Self { code, count }
    }
}

impl From<v1::DeviceReading> for Device {
    fn from(wire: v1::DeviceReading) -> Self {
        let partition = match wire.partition() {
            Partition::Whole => "whole",
            Partition::Mig => "mig",
            Partition::Amd => "amd",
            Partition::Unspecified => UNKNOWN,
        };
        let v1::DeviceReading { device, memory_total_bytes, memory_used_bytes, .. } = wire;
        Self { id: device, partition, memory_total_bytes, memory_used_bytes }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::status::samples;

    #[test]
    fn a_board_is_told_with_every_sensor_limit_and_judgement() {
        let board = Board::told(samples::hot_board(), Some(250));
        let json = serde_json::to_value(&board).expect("JSON");
        for (field, value) in [
            ("temperature_celsius", json!(86.5)),
            ("memory_temperature_celsius", json!(94.0)),
            ("power_watts", json!(640.0)),
            ("power_limit_watts", json!(700.0)),
            ("core_clock_mhz", json!(1500)),
            ("target_clock_mhz", json!(1450)),
            ("utilization", json!(0.97)),
            ("reasons", json!(["requested", "software-thermal"])),
            ("band", json!("hot")),
            ("duty", json!("no-new-shards")),
            ("clock_control", json!("governed")),
            ("headroom_celsius", json!(-1.0)),
            ("speed", json!(0.82)),
            ("weight", json!(1.0)),
            ("missing", json!(["fan"])),
            ("frozen", json!(["margin"])),
            ("faults", json!([{ "code": 63, "count": 1 }])),
            ("memory_total_bytes", json!(80_000_000_000_u64)),
        ] {
            assert_eq!(json[field], value, "{field}");
        }
        assert_eq!(json["limits"]["slowdown_celsius"], json!(90.0));
        assert_eq!(json["devices"][0]["partition"], json!("whole"));
    }

    #[test]
    fn a_reading_is_as_old_as_it_was_in_the_report_and_the_report_together() {
        assert_eq!(Board::told(samples::hot_board(), Some(250)).reading_age_ms, Some(250 + 120));
        assert_eq!(Board::told(samples::hot_board(), None).reading_age_ms, None);
    }

    #[test]
    fn what_a_board_does_not_have_is_null_and_what_nobody_judged_is_unknown() {
        let json = serde_json::to_value(Board::told(v1::BoardReport::default(), Some(1))).expect("JSON");
        for field in ["temperature_celsius", "margin_celsius", "reasons", "ecc", "remapping", "pcie", "fan"] {
            assert_eq!(json[field], json!(null), "{field}");
        }
        for field in ["memory_total_bytes", "memory_used_bytes"] {
            assert_eq!(json[field], json!(null), "{field} of no device");
        }
        for field in ["kind", "band", "duty", "clock_control"] {
            assert_eq!(json[field], json!("unknown"), "{field}");
        }
    }
}
