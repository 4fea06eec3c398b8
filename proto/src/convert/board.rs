//! Boards: what they are, and what their nodes make of their readings.

use std::time::Duration;

use helixflow_model::{
    Band, BoardId, BoardInfo, BoardLimits, BoardReading, BoardReport, BoardStanding, ClockControl,
    DeviceKind, Duty, MegaHertz, MilliCelsius, MilliWatts, Permille,
};

use super::BadMessage;
use crate::v1;

/// Whole milliseconds, as ages travel.
pub(super) fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn board_id(wire: String) -> Result<BoardId, BadMessage> {
    BoardId::new(wire).map_err(|e| BadMessage::new("board", e))
}

/// A share of a whole: at most a thousand thousandths.
fn permille(field: &'static str, value: u32) -> Result<Permille, BadMessage> {
    match u16::try_from(value) {
        Ok(value) if value <= 1000 => Ok(Permille(value)),
        _ => Err(BadMessage::new(field, format!("{value} is above 1000"))),
    }
}

impl From<BoardReport> for v1::BoardReport {
    fn from(report: BoardReport) -> Self {
        let BoardReport { info, reading, age, standing } = report;
        Self {
            board: info.board.into(),
            name: info.name,
            kind: v1::DeviceKind::from(info.kind).into(),
            limits: Some(info.limits.into()),
            reading: Some(reading.into()),
            age_ms: millis(age),
            standing: Some(standing.into()),
        }
    }
}

impl TryFrom<v1::BoardReport> for BoardReport {
    type Error = BadMessage;

    fn try_from(wire: v1::BoardReport) -> Result<Self, BadMessage> {
        let kind = DeviceKind::try_from(wire.kind())?;
        Ok(Self {
            info: BoardInfo {
                board: board_id(wire.board)?,
                name: wire.name,
                kind,
                limits: wire.limits.unwrap_or_default().into(),
            },
            reading: BoardReading::try_from(wire.reading.unwrap_or_default())?,
            age: Duration::from_millis(wire.age_ms),
            standing: wire.standing.ok_or_else(|| BadMessage::missing("standing"))?.try_into()?,
        })
    }
}

impl From<BoardLimits> for v1::BoardLimits {
    fn from(limits: BoardLimits) -> Self {
        Self {
            operating_millicelsius: limits.operating.map(|t| t.0),
            slowdown_millicelsius: limits.slowdown.map(|t| t.0),
            shutdown_millicelsius: limits.shutdown.map(|t| t.0),
            memory_millicelsius: limits.memory.map(|t| t.0),
            power_least_milliwatts: limits.power_least.map(|p| p.0),
            power_most_milliwatts: limits.power_most.map(|p| p.0),
            clock_least_mhz: limits.clock_least.map(|c| c.0),
            clock_most_mhz: limits.clock_most.map(|c| c.0),
        }
    }
}

impl From<v1::BoardLimits> for BoardLimits {
    fn from(wire: v1::BoardLimits) -> Self {
        Self {
            operating: wire.operating_millicelsius.map(MilliCelsius),
            slowdown: wire.slowdown_millicelsius.map(MilliCelsius),
            shutdown: wire.shutdown_millicelsius.map(MilliCelsius),
            memory: wire.memory_millicelsius.map(MilliCelsius),
            power_least: wire.power_least_milliwatts.map(MilliWatts),
            power_most: wire.power_most_milliwatts.map(MilliWatts),
            clock_least: wire.clock_least_mhz.map(MegaHertz),
            clock_most: wire.clock_most_mhz.map(MegaHertz),
        }
    }
}

impl From<BoardStanding> for v1::BoardStanding {
    fn from(standing: BoardStanding) -> Self {
        Self {
            band: v1::Band::from(standing.band).into(),
            duty: v1::Duty::from(standing.duty).into(),
            control: v1::ClockControl::from(standing.control).into(),
            target_clock_mhz: standing.target_clock.map(|c| c.0),
            forecast_millicelsius: standing.forecast.map(|t| t.0),
            headroom_millicelsius: standing.headroom.map(|t| t.0),
            speed_permille: standing.speed.0.into(),
            weight_permille: standing.weight.0.into(),
        }
    }
}

impl TryFrom<v1::BoardStanding> for BoardStanding {
    type Error = BadMessage;

    fn try_from(wire: v1::BoardStanding) -> Result<Self, BadMessage> {
        Ok(Self {
            band: wire.band().try_into()?,
            duty: wire.duty().try_into()?,
            control: wire.control().try_into()?,
            target_clock: wire.target_clock_mhz.map(MegaHertz),
            forecast: wire.forecast_millicelsius.map(MilliCelsius),
            headroom: wire.headroom_millicelsius.map(MilliCelsius),
            speed: permille("speed_permille", wire.speed_permille)?,
            weight: permille("weight_permille", wire.weight_permille)?,
        })
    }
}

/// One enumeration of words and its messages, in both directions.
macro_rules! same_words {
    ($($name:ident, $field:literal: $($variant:ident),*;)*) => {$(
        impl From<$name> for v1::$name {
            fn from(word: $name) -> Self {
                match word { $($name::$variant => Self::$variant),* }
            }
        }

        impl TryFrom<v1::$name> for $name {
            type Error = BadMessage;

            fn try_from(wire: v1::$name) -> Result<Self, BadMessage> {
                match wire {
                    $(v1::$name::$variant => Ok(Self::$variant),)*
                    v1::$name::Unspecified => Err(BadMessage::missing($field)),
                }
            }
        }
    )*};
}

same_words! {
    DeviceKind, "kind": Nvidia, Amd, Simulated;
    Band, "band": Cool, Warm, Hot, Critical;
    Duty, "duty": Full, Probation, NoNewShards, Drain, Quarantine;
    ClockControl, "control": MonitorOnly, Governed, Foreign;
}

#[cfg(test)]
mod tests {
    use helixflow_model::{
        Bytes, ClockReasons, DeviceId, DeviceReading, EccErrors, FaultEvent, Partition, PcieLink,
        RowRemapping, Sensed,
    };

    use super::*;

    fn report() -> BoardReport {
        let reading = BoardReading {
            core: Sensed::Live(MilliCelsius(81_000)),
            memory: Sensed::Missing,
            margin: Sensed::Frozen(MilliCelsius(6_000)),
            power: Sensed::Live(MilliWatts(640_000)),
            utilization: Sensed::Live(Permille(970)),
            reasons: Sensed::Live(ClockReasons::SOFTWARE_THERMAL),
            ecc: Sensed::Live(EccErrors { corrected: 3, uncorrected: 0 }),
            remapping: Sensed::Live(RowRemapping { pending: true, ..RowRemapping::default() }),
            pcie: Sensed::Live(PcieLink { generation: 5, width: 16, replays: 1 }),
            faults: vec![FaultEvent { code: 63, count: 1 }],
            devices: vec![DeviceReading {
                device: DeviceId::new("GPU-1").expect("a valid name"),
                partition: Partition::Whole,
                memory_total: Bytes(80 << 30),
                memory_used: Bytes(2 << 30),
            }],
            ..BoardReading::default()
        };
        let limits = BoardLimits {
            slowdown: Some(MilliCelsius(87_000)),
            clock_most: Some(MegaHertz(1980)),
            ..BoardLimits::default()
        };
        let board = BoardId::new("GPU-1").expect("a valid name");
        BoardReport {
            info: BoardInfo { board, name: "H100".to_owned(), kind: DeviceKind::Nvidia, limits },
            reading,
            age: Duration::from_millis(120),
            standing: BoardStanding {
                band: Band::Hot,
                duty: Duty::NoNewShards,
                control: ClockControl::Governed,
                target_clock: Some(MegaHertz(1500)),
                forecast: Some(MilliCelsius(84_000)),
                headroom: Some(MilliCelsius(-1_000)),
                speed: Permille(900),
                weight: Permille(1000),
            },
        }
    }

    #[test]
    fn a_board_survives_the_wire() {
        assert_eq!(BoardReport::try_from(v1::BoardReport::from(report())), Ok(report()));
    }

    #[test]
    fn what_has_no_meaning_is_refused_by_field() {
        let mut wire = v1::BoardReport::from(report());
        wire.standing.as_mut().expect("a standing").speed_permille = 1001;
        assert_eq!(BoardReport::try_from(wire).map_err(|e| e.field), Err("speed_permille"));
        let mut wire = v1::BoardReport::from(report());
        wire.standing.as_mut().expect("a standing").band = 99;
        assert_eq!(BoardReport::try_from(wire).map_err(|e| e.field), Err("band"));
    }
}
