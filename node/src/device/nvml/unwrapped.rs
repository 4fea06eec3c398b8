//! NVML's calls that the safe wrapper lacks: the margin to the slowdown limit, the rows that were replaced, and quantities
//! by their number, of which the wrapper's own call knows not every type. Limits relative to the margin are signed.
#![expect(unsafe_code, reason = "calls into the driver's library, for which there is no safe wrapper")]

use helixflow_model::RowRemapping;
use nvml_wrapper::Device;
use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper_sys::bindings as sys;
use nvml_wrapper_sys::bindings::{nvmlFieldValue_t, nvmlMarginTemperature_t};

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

/// A quantity that has no call of its own, in the unit of nvml.h.
pub(super) fn field(device: &Device<'static>, id: u32) -> Result<i64, NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetFieldValues.as_ref())?;
    // SAFETY: the structure holds numbers alone.
    let mut field: nvmlFieldValue_t = unsafe { std::mem::zeroed() };
    field.fieldId = id;
    // SAFETY: as above; it is a list of one.
    nvml_try(unsafe { call(device.handle(), 1, &raw mut field) })?;
    nvml_try(field.nvmlReturn)?;
    let value = field.value;
    // SAFETY: any bits are a number of any of these types; which was written is told.
    Ok(unsafe {
        match field.valueType {
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_DOUBLE => value.dVal as i64,
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT => value.uiVal.into(),
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG => at_most(value.ulVal),
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG => at_most(value.ullVal),
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_LONG_LONG => value.sllVal,
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_INT => value.siVal.into(),
            sys::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_SHORT => value.usVal.into(),
            other => return Err(NvmlError::UnexpectedVariant(other)),
        }
    })
}

fn at_most(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
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
