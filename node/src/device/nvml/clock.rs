//! Acting on a GPU's clock: the calls, and what their refusals mean.

use helixflow_model::MegaHertz;
use nvml_wrapper::Device;
use nvml_wrapper::enums::device::GpuLockedClocksSetting;
use nvml_wrapper::error::NvmlError;

use super::is_unsupported;
use crate::device::driver::Refusal;

/// Keeps the clock between the lowest of the board and `most`.
pub(super) fn lock(
    device: &mut Device<'static>,
    least: Option<MegaHertz>,
    most: MegaHertz,
) -> Result<(), NvmlError> {
    // A range from 0 begins at the lowest clock that the board has.
    let least = least.map_or(0, |least| least.0.min(most.0));
    device.set_gpu_locked_clocks(GpuLockedClocksSetting::Numeric {
        min_clock_mhz: least,
        max_clock_mhz: most.0,
    })
}

/// Asks for the power limit that stands already: nothing changes, and a process without the right is told so. A board
/// without power limits tells nothing.
pub(super) fn probe(device: &mut Device<'static>) -> Result<(), NvmlError> {
    let asked = device.power_management_limit().and_then(|limit| device.set_power_management_limit(limit));
    match asked {
        Err(error) if is_unsupported(&error) => Ok(()),
        answer => answer,
    }
}

/// What a refused call means for whoever asked.
pub(super) fn refusal(error: &NvmlError) -> Refusal {
    let says = format!("the NVIDIA driver says: {error}");
    match error {
        NvmlError::NoPermission | NvmlError::OperatingSystem => {
            Refusal::NotPermitted(format!("{says}; only root may set clocks and power limits"))
        }
        error if is_unsupported(error) => Refusal::Unsupported(says),
        _ => Refusal::Failed(says),
    }
}
