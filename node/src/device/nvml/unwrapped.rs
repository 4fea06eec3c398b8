//! NVML's calls that the safe wrapper lacks: the margin to the slowdown limit, and the rows that were replaced.
#![expect(unsafe_code, reason = "calls into the driver's library, for which there is no safe wrapper")]

use helixflow_model::RowRemapping;
use nvml_wrapper::Device;
use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper_sys::bindings::nvmlMarginTemperature_t;

/// `NVML_STRUCT_VERSION(MarginTemperature, 1)` of nvml.h: the size, and the version in the highest byte.
const MARGIN_VERSION: u32 = (size_of::<nvmlMarginTemperature_t>() as u32) | (1 << 24);

/// Degrees left to the slowdown limit; negative beyond it.
pub(super) fn margin(device: &Device<'static>) -> Result<i32, NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetMarginTemperature.as_ref())?;
    let mut margin = nvmlMarginTemperature_t { version: MARGIN_VERSION, marginTemperature: 0 };
    // SAFETY: the symbol is of the library that gave the handle, which is never closed; the structure bears its version.
    nvml_try(unsafe { call(device.handle(), &raw mut margin) })?;
    Ok(margin.marginTemperature)
}

/// Rows of memory that spare ones have replaced.
pub(super) fn remapped_rows(device: &Device<'static>) -> Result<RowRemapping, NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetRemappedRows.as_ref())?;
    let (mut corrected, mut uncorrected, mut pending, mut failed) = (0, 0, 0, 0);
    // SAFETY: as above; each pointer is to a number that outlives the call.
    nvml_try(unsafe {
        call(device.handle(), &raw mut corrected, &raw mut uncorrected, &raw mut pending, &raw mut failed)
    })?;
    Ok(RowRemapping { corrected, uncorrected, pending: pending != 0, failed: failed != 0 })
}
