//! What a board's sensors say: a value that is absent is unsupported, unless its sensor is named as missing.

use std::collections::BTreeSet;

use helixflow_model::{
    BoardReading, Bytes, ClockReasons, DeviceId, DeviceReading, EccErrors, FaultEvent, MegaHertz,
    MilliCelsius, MilliWatts, Partition, PcieLink, Permille, RowRemapping, Sensed,
};

use super::BadMessage;
use crate::v1::{self, Sensor};

/// Collects the sensors that are at fault while values are written out.
#[derive(Default)]
struct Faults {
    missing: Vec<i32>,
    frozen: Vec<i32>,
}

impl Faults {
    fn write<T>(&mut self, sensor: Sensor, value: Sensed<T>) -> Option<T> {
        match value {
            Sensed::Missing => self.missing.push(sensor.into()),
            Sensed::Frozen(_) => self.frozen.push(sensor.into()),
            Sensed::Unsupported | Sensed::Live(_) => {}
        }
        value.read()
    }
}

impl From<BoardReading> for v1::BoardReading {
    fn from(reading: BoardReading) -> Self {
        let mut faults = Faults::default();
        let mut wire = Self {
            core_millicelsius: faults.write(Sensor::Core, reading.core.map(|t| t.0)),
            memory_millicelsius: faults.write(Sensor::Memory, reading.memory.map(|t| t.0)),
            margin_millicelsius: faults.write(Sensor::Margin, reading.margin.map(|t| t.0)),
            power_milliwatts: faults.write(Sensor::Power, reading.power.map(|p| p.0)),
            power_limit_milliwatts: faults.write(Sensor::PowerLimit, reading.power_limit.map(|p| p.0)),
            core_clock_mhz: faults.write(Sensor::CoreClock, reading.core_clock.map(|c| c.0)),
            memory_clock_mhz: faults.write(Sensor::MemoryClock, reading.memory_clock.map(|c| c.0)),
            utilization_permille: faults
                .write(Sensor::Utilization, reading.utilization.map(|u| u32::from(u.0))),
            fan_permille: faults.write(Sensor::Fan, reading.fan.map(|f| u32::from(f.0))),
            reasons: faults.write(Sensor::Reasons, reading.reasons.map(|r| r.0)),
            ecc: faults.write(Sensor::Ecc, reading.ecc.map(Into::into)),
            remapping: faults.write(Sensor::Remapping, reading.remapping.map(Into::into)),
            pcie: faults.write(Sensor::Pcie, reading.pcie.map(Into::into)),
            faults: reading.faults.into_iter().map(Into::into).collect(),
            devices: reading.devices.into_iter().map(Into::into).collect(),
            missing: Vec::new(),
            frozen: Vec::new(),
        };
        (wire.missing, wire.frozen) = (faults.missing, faults.frozen);
        wire
    }
}

/// The sensors that a message names as being at fault.
struct Named {
    missing: BTreeSet<i32>,
    frozen: BTreeSet<i32>,
}

impl Named {
    fn read<T>(&self, sensor: Sensor, value: Option<T>) -> Sensed<T> {
        let number = sensor.into();
        match value {
            Some(value) if self.frozen.contains(&number) => Sensed::Frozen(value),
            Some(value) => Sensed::Live(value),
            None if self.missing.contains(&number) => Sensed::Missing,
            None => Sensed::Unsupported,
        }
    }
}

impl TryFrom<v1::BoardReading> for BoardReading {
    type Error = BadMessage;

    fn try_from(wire: v1::BoardReading) -> Result<Self, BadMessage> {
        let named =
            Named { missing: wire.missing.into_iter().collect(), frozen: wire.frozen.into_iter().collect() };
        // Some sensors tell more than the whole, and no report is refused for that.
        let share = |told: Option<u32>| told.map(Permille::within_whole);
        let (utilization, fan) = (share(wire.utilization_permille), share(wire.fan_permille));
        let pcie = wire.pcie.map(PcieLink::try_from).transpose()?;
        Ok(Self {
            core: named.read(Sensor::Core, wire.core_millicelsius).map(MilliCelsius),
            memory: named.read(Sensor::Memory, wire.memory_millicelsius).map(MilliCelsius),
            margin: named.read(Sensor::Margin, wire.margin_millicelsius).map(MilliCelsius),
            power: named.read(Sensor::Power, wire.power_milliwatts).map(MilliWatts),
            power_limit: named.read(Sensor::PowerLimit, wire.power_limit_milliwatts).map(MilliWatts),
            core_clock: named.read(Sensor::CoreClock, wire.core_clock_mhz).map(MegaHertz),
            memory_clock: named.read(Sensor::MemoryClock, wire.memory_clock_mhz).map(MegaHertz),
            utilization: named.read(Sensor::Utilization, utilization),
            fan: named.read(Sensor::Fan, fan),
            reasons: named.read(Sensor::Reasons, wire.reasons).map(ClockReasons),
            ecc: named.read(Sensor::Ecc, wire.ecc).map(Into::into),
            remapping: named.read(Sensor::Remapping, wire.remapping).map(Into::into),
            pcie: named.read(Sensor::Pcie, pcie),
            faults: wire.faults.into_iter().map(Into::into).collect(),
            devices: wire.devices.into_iter().map(DeviceReading::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<EccErrors> for v1::EccErrors {
    fn from(EccErrors { corrected, uncorrected }: EccErrors) -> Self {
        Self { corrected, uncorrected }
    }
}

impl From<v1::EccErrors> for EccErrors {
    fn from(v1::EccErrors { corrected, uncorrected }: v1::EccErrors) -> Self {
        Self { corrected, uncorrected }
    }
}

impl From<RowRemapping> for v1::RowRemapping {
    fn from(RowRemapping { corrected, uncorrected, pending, failed }: RowRemapping) -> Self {
        Self { corrected, uncorrected, pending, failed }
    }
}

impl From<v1::RowRemapping> for RowRemapping {
    fn from(v1::RowRemapping { corrected, uncorrected, pending, failed }: v1::RowRemapping) -> Self {
        Self { corrected, uncorrected, pending, failed }
    }
}

impl From<PcieLink> for v1::PcieLink {
    fn from(PcieLink { generation, width, replays }: PcieLink) -> Self {
        Self { generation: generation.into(), width: width.into(), replays }
    }
}

impl TryFrom<v1::PcieLink> for PcieLink {
    type Error = BadMessage;

    fn try_from(v1::PcieLink { generation, width, replays }: v1::PcieLink) -> Result<Self, BadMessage> {
        let small = |value: u32| u8::try_from(value).map_err(|e| BadMessage::new("pcie", e));
        Ok(Self { generation: small(generation)?, width: small(width)?, replays })
    }
}

impl From<FaultEvent> for v1::FaultEvent {
    fn from(FaultEvent { code, count }: FaultEvent) -> Self {
        Self { code, count }
    }
}

impl From<v1::FaultEvent> for FaultEvent {
    fn from(v1::FaultEvent { code, count }: v1::FaultEvent) -> Self {
        Self { code, count }
    }
}

impl From<DeviceReading> for v1::DeviceReading {
    fn from(reading: DeviceReading) -> Self {
        let partition = match reading.partition {
            Partition::Whole => v1::Partition::Whole,
            Partition::Mig => v1::Partition::Mig,
            Partition::Amd => v1::Partition::Amd,
        };
        Self {
            device: reading.device.into(),
            partition: partition.into(),
            memory_total_bytes: reading.memory_total.0,
            memory_used_bytes: reading.memory_used.0,
        }
    }
}

impl TryFrom<v1::DeviceReading> for DeviceReading {
    type Error = BadMessage;

    fn try_from(wire: v1::DeviceReading) -> Result<Self, BadMessage> {
        let partition = match wire.partition() {
            v1::Partition::Whole => Partition::Whole,
            v1::Partition::Mig => Partition::Mig,
            v1::Partition::Amd => Partition::Amd,
            v1::Partition::Unspecified => return Err(BadMessage::missing("partition")),
        };
        Ok(Self {
            device: DeviceId::new(wire.device).map_err(|e| BadMessage::new("device", e))?,
            partition,
            memory_total: Bytes(wire.memory_total_bytes),
            memory_used: Bytes(wire.memory_used_bytes),
        })
    }
}
