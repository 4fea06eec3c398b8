//! One NVIDIA GPU: each sensor by a call of its own, so that one that fails takes no other with it.

use helixflow_model::{
    BoardInfo, BoardReading, Bytes, ClockReasons, DeviceId, DeviceReading, EccErrors, MegaHertz, MilliWatts,
    Partition, PcieLink, Permille, Sensed,
};
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::sys_exports::field_id;
use nvml_wrapper::{Device, Nvml};

use super::faults::Faults;
use super::{celsius, clock, is_unsupported, sensed, unwrapped};
use crate::device::driver::{Driver, Refusal, Tell, both};

/// Fans of one board that are looked at; boards have up to four.
const MOST_FANS: u32 = 8;
/// Instances of one board that are looked at; the hardware makes at most seven.
const MOST_INSTANCES: u32 = 16;

/// A GPU, and what is remembered of it between readings.
pub(super) struct NvidiaBoard {
    nvml: &'static Nvml,
    info: BoardInfo,
    faults: Faults,
    /// Whether it was divided into instances when it last said so.
    is_divided: bool,
}

impl NvidiaBoard {
    pub(super) fn new(nvml: &'static Nvml, info: BoardInfo) -> Self {
        Self { nvml, info, faults: Faults::default(), is_divided: false }
    }

    /// The handle, asked for anew each time: a board that was lost and has come back has another one.
    fn device(&self) -> Result<Device<'static>, NvmlError> {
        self.nvml.device_by_uuid(self.info.board.as_str())
    }

    fn with<T>(&self, call: impl FnOnce(&mut Device<'static>) -> Result<T, NvmlError>) -> Result<T, Refusal> {
        self.device().and_then(|mut device| call(&mut device)).map_err(|error| clock::refusal(&error))
    }
}

impl Driver for NvidiaBoard {
    fn info(&self) -> &BoardInfo {
        &self.info
    }

    fn watch(&mut self, tell: &Tell) {
        if self.faults.are_gathered() {
            return;
        }
        // A board that is lost is asked again at its next reading.
        if let Ok(device) = self.device() {
            self.faults.gather(self.nvml, &device, tell);
        }
    }

    fn read(&mut self) -> BoardReading {
        let Ok(device) = self.device() else { return lost() };
        // A driver that cannot tell has not divided the board since.
        self.is_divided = match device.mig_mode() {
            Ok(mode) => mode.current == 1,
            Err(error) => self.is_divided && !is_unsupported(&error),
        };
        let devices = if self.is_divided { instances(&device) } else { whole(&self.info, &device) };
        // NVML tells no utilisation of a divided board.
        let utilization = if self.is_divided { Sensed::Unsupported } else { utilization(&device) };
        BoardReading {
            core: sensed(device.temperature(TemperatureSensor::Gpu)).map(|degrees| celsius(degrees.into())),
            memory: sensed(unwrapped::field(&device, field_id::NVML_FI_DEV_MEMORY_TEMP)).map(celsius),
            margin: sensed(unwrapped::margin(&device)).map(|degrees| celsius(degrees.into())),
            power: sensed(power(&device)),
            power_limit: sensed(device.enforced_power_limit()).map(MilliWatts),
            core_clock: sensed(device.clock_info(Clock::SM)).map(MegaHertz),
            memory_clock: sensed(device.clock_info(Clock::Memory)).map(MegaHertz),
            utilization,
            fan: sensed(slowest_fan(&device)),
            reasons: sensed(device.current_throttle_reasons())
                // The high half is unused (nvml.h).
                .map(|reasons| ClockReasons(u32::try_from(reasons.bits()).unwrap_or(u32::MAX))),
            ecc: ecc(&device),
            remapping: sensed(unwrapped::remapped_rows(&device)),
            pcie: pcie(&device),
            faults: Vec::new(),
            devices,
        }
    }

    fn may_set(&mut self) -> Result<(), Refusal> {
        self.with(clock::probe)
    }

    fn lock_clock(&mut self, most: MegaHertz) -> Result<(), Refusal> {
        self.with(|device| clock::lock(device, self.info.limits.clock_least, most))
    }

    fn free_clock(&mut self) -> Result<(), Refusal> {
        self.with(Device::reset_gpu_locked_clocks)
    }

    fn power_limit(&mut self) -> Result<MilliWatts, Refusal> {
        self.with(|device| device.power_management_limit()).map(MilliWatts)
    }

    fn set_power_limit(&mut self, limit: MilliWatts) -> Result<(), Refusal> {
        self.with(|device| device.set_power_management_limit(limit.0))
    }
}

/// What is said of a board that the driver does not find: each sensor that a board may have is missing.
fn lost() -> BoardReading {
    BoardReading {
        core: Sensed::Missing,
        memory: Sensed::Missing,
        margin: Sensed::Missing,
        power: Sensed::Missing,
        power_limit: Sensed::Missing,
        core_clock: Sensed::Missing,
        memory_clock: Sensed::Missing,
        utilization: Sensed::Missing,
        fan: Sensed::Missing,
        reasons: Sensed::Missing,
        ecc: Sensed::Missing,
        remapping: Sensed::Missing,
        pcie: Sensed::Missing,
        ..BoardReading::default()
    }
}

/// The instant's power where board and driver tell it, else the average of about a second.
fn power(device: &Device<'static>) -> Result<MilliWatts, NvmlError> {
    match unwrapped::field(device, field_id::NVML_FI_DEV_POWER_INSTANT) {
        Ok(power) => Ok(MilliWatts(u32::try_from(power).unwrap_or(u32::MAX))),
        // Drivers that do not know the number of a field call it a wrong argument.
        Err(error) if is_unsupported(&error) || matches!(error, NvmlError::InvalidArg) => {
            device.power_usage().map(MilliWatts)
        }
        Err(error) => Err(error),
    }
}

fn utilization(device: &Device<'static>) -> Sensed<Permille> {
    sensed(device.utilization_rates()).map(|rates| percent(rates.gpu))
}

/// Of several fans the slowest: one that stands still is what matters.
fn slowest_fan(device: &Device<'static>) -> Result<Permille, NvmlError> {
    let mut slowest = Err(NvmlError::NotSupported);
    for fan in 0..device.num_fans()?.min(MOST_FANS) {
        let speed = percent(device.fan_speed(fan)?);
        slowest = Ok(slowest.map_or(speed, |slowest: Permille| slowest.min(speed)));
    }
    slowest
}

fn ecc(device: &Device<'static>) -> Sensed<EccErrors> {
    let count = |kind| sensed(device.total_ecc_errors(kind, EccCounter::Volatile));
    both(count(MemoryError::Corrected), count(MemoryError::Uncorrected))
        .map(|(corrected, uncorrected)| EccErrors { corrected, uncorrected })
}

fn pcie(device: &Device<'static>) -> Sensed<PcieLink> {
    let link = both(sensed(device.current_pcie_link_gen()), sensed(device.current_pcie_link_width()));
    both(link, sensed(device.pcie_replay_counter())).map(|((generation, width), replays)| PcieLink {
        generation: u8::try_from(generation).unwrap_or(u8::MAX),
        width: u8::try_from(width).unwrap_or(u8::MAX),
        replays,
    })
}

fn whole(info: &BoardInfo, device: &Device<'static>) -> Vec<DeviceReading> {
    memory(device, info.board.as_str(), Partition::Whole).into_iter().collect()
}

/// The instances of a divided board. Places without one are passed over.
fn instances(device: &Device<'static>) -> Vec<DeviceReading> {
    let places = device.mig_device_count().unwrap_or(0).min(MOST_INSTANCES);
    (0..places)
        .filter_map(|place| device.mig_device_by_index(place).ok())
        .filter_map(|instance| memory(&instance, &instance.uuid().ok()?, Partition::Mig))
        .collect()
}

fn memory(device: &Device<'static>, id: &str, partition: Partition) -> Option<DeviceReading> {
    let memory = device.memory_info().ok()?;
    Some(DeviceReading {
        device: DeviceId::new(id).ok()?,
        partition,
        memory_total: Bytes(memory.total),
        memory_used: Bytes(memory.used),
    })
}

/// A fan may turn at more than its full speed (nvml.h): that is full.
fn percent(percent: u32) -> Permille {
    Permille::within_whole(percent.saturating_mul(10))
}
