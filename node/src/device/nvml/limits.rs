//! A board's own limits, as the driver tells them; products differ, so none is assumed.

use helixflow_model::{BoardLimits, MegaHertz, MilliCelsius, MilliWatts};
use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor, TemperatureThreshold};
use nvml_wrapper::sys_exports::field_id;

use super::{celsius, unwrapped};

/// Reads them; what a call refuses is left out.
pub(super) fn read(device: &Device<'static>) -> BoardLimits {
    let power = device.power_management_limit_constraints().ok();
    BoardLimits {
        operating: threshold(
            device,
            TemperatureThreshold::GpuMax,
            field_id::NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT,
        ),
        slowdown: threshold(
            device,
            TemperatureThreshold::Slowdown,
            field_id::NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT,
        ),
        shutdown: threshold(
            device,
            TemperatureThreshold::Shutdown,
            field_id::NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT,
        ),
        memory: device
            .temperature_threshold(TemperatureThreshold::MemoryMax)
            .ok()
            .map(|degrees| celsius(degrees.into())),
        power_least: power.as_ref().map(|limits| MilliWatts(limits.min_limit)),
        power_most: power.as_ref().map(|limits| MilliWatts(limits.max_limit)),
        clock_least: least_clock(device),
        clock_most: device.max_clock_info(Clock::SM).ok().map(MegaHertz),
    }
}

/// A temperature limit in degrees. Newer drivers give some of them only relative to the margin, which falls as the board
/// warms: the limit lies where the margin would have fallen to `relative` (`NVML_FI_DEV_TEMPERATURE_*_TLIMIT` in nvml.h).
fn threshold(
    device: &Device<'static>,
    absolute: TemperatureThreshold,
    relative: u32,
) -> Option<MilliCelsius> {
    if let Ok(degrees) = device.temperature_threshold(absolute) {
        return Some(celsius(degrees.into()));
    }
    let core = i64::from(device.temperature(TemperatureSensor::Gpu).ok()?);
    let margin = i64::from(unwrapped::margin(device).ok()?);
    let relative = unwrapped::field(device, relative).ok()?;
    Some(celsius(core.saturating_add(margin).saturating_sub(relative)))
}

/// The lowest clock that can be asked for while the memory runs at its highest.
fn least_clock(device: &Device<'static>) -> Option<MegaHertz> {
    let memory = device.supported_memory_clocks().ok()?.into_iter().max()?;
    device.supported_graphics_clocks(memory).ok()?.into_iter().min().map(MegaHertz)
}
