//! Calls that read a board.

use std::ffi::{c_int, c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlFieldValue_t, nvmlMarginTemperature_t, nvmlMemory_v2_t,
    nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH, nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT, nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED,
    nvmlReturn_enum_NVML_SUCCESS, nvmlReturn_t, nvmlUtilization_t, nvmlValue_t,
    nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_INT, nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT,
};

use crate::script::{Board, error, play_board};

/// Calls with one number for an answer, each with the key of its value and what it is in good health.
macro_rules! numbers {
    ($($call:ident = $key:literal or $usual:literal;)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $call(device: nvmlDevice_t, value: *mut c_uint) -> nvmlReturn_t {
            play_board(stringify!($call), device, |board| {
                // SAFETY: the caller's number.
                unsafe { value.write(board.number($key, $usual) as c_uint) };
                nvmlReturn_enum_NVML_SUCCESS
            })
        }
    )*};
}

numbers! {
    nvmlDeviceGetPowerUsage = "power" or 300_000;
    nvmlDeviceGetEnforcedPowerLimit = "enforced_power_limit" or 700_000;
    nvmlDeviceGetCurrPcieLinkGeneration = "pcie_generation" or 5;
    nvmlDeviceGetCurrPcieLinkWidth = "pcie_width" or 16;
    nvmlDeviceGetPcieReplayCounter = "pcie_replays" or 2;
    nvmlDeviceGetNumFans = "fans" or 2;
}

/// Calls with one number for a kind of it: the value's key ends in the kind's number, and each kind has its own usual one.
macro_rules! numbers_of_a_kind {
    ($($call:ident = $key:literal or $usual:expr;)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $call(device: nvmlDevice_t, kind: c_uint, value: *mut c_uint) -> nvmlReturn_t {
            play_board(stringify!($call), device, |board| {
                let usual = $usual.get(kind as usize).copied().unwrap_or_default();
                // SAFETY: the caller's number.
                unsafe { value.write(board.number(&format!("{}{kind}", $key), usual) as c_uint) };
                nvmlReturn_enum_NVML_SUCCESS
            })
        }
    )*};
}

numbers_of_a_kind! {
    nvmlDeviceGetTemperature = "temperature" or [45];
    // Shutdown, slowdown, memory, operating.
    nvmlDeviceGetTemperatureThreshold = "threshold" or [92, 89, 95, 87];
    // Graphics, SM, memory.
    nvmlDeviceGetClockInfo = "clock" or [1500, 1500, 2619];
    nvmlDeviceGetMaxClockInfo = "most_clock" or [1980, 1980, 2619];
    nvmlDeviceGetFanSpeed_v2 = "fan" or [40, 35];
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMarginTemperature(
    device: nvmlDevice_t,
    margin: *mut nvmlMarginTemperature_t,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetMarginTemperature", device, |board| {
        // SAFETY: the caller's structure.
        let margin = unsafe { &mut *margin };
        if margin.version != 0x0100_0008 {
            return nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
        }
        margin.marginTemperature = board.number("margin", 42) as c_int;
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUtilizationRates(
    device: nvmlDevice_t,
    rates: *mut nvmlUtilization_t,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetUtilizationRates", device, |board| {
        if board.board["mig"].is_array() {
            return nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED;
        }
        // SAFETY: the caller's structure.
        unsafe { rates.write(nvmlUtilization_t { gpu: board.number("busy", 37) as c_uint, memory: 20 }) };
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(
    device: nvmlDevice_t,
    memory: *mut nvmlMemory_v2_t,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetMemoryInfo_v2", device, |board| {
        let (total, used) = (board.number("total", 80 << 30) as u64, board.number("used", 10 << 30) as u64);
        // SAFETY: the caller's structure.
        let memory = unsafe { &mut *memory };
        (memory.total, memory.used, memory.free) = (total, used, total.saturating_sub(used));
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetCurrentClocksThrottleReasons(
    device: nvmlDevice_t,
    reasons: *mut c_ulonglong,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetCurrentClocksThrottleReasons", device, |board| {
        // SAFETY: the caller's number.
        unsafe { reasons.write(board.number("reasons", 4) as c_ulonglong) };
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: nvmlDevice_t,
    kind: c_uint,
    _counter: c_uint,
    count: *mut c_ulonglong,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetTotalEccErrors", device, |board| {
        let usual = if kind == 0 { 3 } else { 0 };
        // SAFETY: the caller's number.
        unsafe { count.write(board.number(&format!("ecc{kind}"), usual) as c_ulonglong) };
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetRemappedRows(
    device: nvmlDevice_t,
    corrected: *mut c_uint,
    uncorrected: *mut c_uint,
    pending: *mut c_uint,
    failed: *mut c_uint,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetRemappedRows", device, |board| {
        // SAFETY: the caller's numbers.
        unsafe {
            corrected.write(board.number("rows_corrected", 1) as c_uint);
            uncorrected.write(board.number("rows_uncorrected", 0) as c_uint);
            pending.write(board.number("rows_pending", 0) as c_uint);
            failed.write(board.number("rows_failed", 0) as c_uint);
        }
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPowerManagementLimitConstraints(
    device: nvmlDevice_t,
    least: *mut c_uint,
    most: *mut c_uint,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetPowerManagementLimitConstraints", device, |board| {
        // SAFETY: the caller's numbers.
        unsafe {
            least.write(board.number("least_power", 200_000) as c_uint);
            most.write(board.number("most_power", 700_000) as c_uint);
        }
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetSupportedMemoryClocks(
    device: nvmlDevice_t,
    count: *mut c_uint,
    clocks: *mut c_uint,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetSupportedMemoryClocks", device, |_| {
        // SAFETY: the caller's list, and its length.
        unsafe { list(&[2619, 1593], count, clocks) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetSupportedGraphicsClocks(
    device: nvmlDevice_t,
    _memory: c_uint,
    count: *mut c_uint,
    clocks: *mut c_uint,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetSupportedGraphicsClocks", device, |_| {
        // SAFETY: the caller's list, and its length.
        unsafe { list(&[1980, 1500, 1005, 210], count, clocks) }
    })
}

/// Writes numbers into a caller's list.
///
/// # Safety
/// `into` must point to as many writable numbers as `count` says.
unsafe fn list(numbers: &[c_uint], count: *mut c_uint, into: *mut c_uint) -> nvmlReturn_t {
    // SAFETY: the caller's number.
    let room = unsafe { count.replace(numbers.len() as c_uint) };
    if (room as usize) < numbers.len() {
        return nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE;
    }
    // SAFETY: they fit, as was just seen.
    unsafe { into.copy_from_nonoverlapping(numbers.as_ptr(), numbers.len()) };
    nvmlReturn_enum_NVML_SUCCESS
}

/// Each field may have an error of its own, under `nvmlDeviceGetFieldValues:` and its number.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetFieldValues(
    device: nvmlDevice_t,
    count: c_int,
    values: *mut nvmlFieldValue_t,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetFieldValues", device, |board| {
        let count = usize::try_from(count).unwrap_or_default();
        // SAFETY: the caller's list has that length.
        for value in unsafe { std::slice::from_raw_parts_mut(values, count) } {
            fill(board, value);
        }
        nvmlReturn_enum_NVML_SUCCESS
    })
}

fn fill(board: &Board<'_>, value: &mut nvmlFieldValue_t) {
    let unsigned = nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT;
    let signed = nvmlValueType_enum_NVML_VALUE_TYPE_SIGNED_INT;
    let (key, usual, kind) = match value.fieldId {
        82 => ("memory_temperature", 50, unsigned),
        186 => ("power_instant", 310_000, unsigned),
        193 => ("shutdown_limit", -5, signed),
        194 => ("slowdown_limit", -2, signed),
        196 => ("operating_limit", 0, signed),
        _ => {
            value.nvmlReturn = nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT;
            return;
        }
    };
    value.nvmlReturn = error(board.board, &format!("nvmlDeviceGetFieldValues:{}", value.fieldId))
        .unwrap_or(nvmlReturn_enum_NVML_SUCCESS);
    value.valueType = kind;
    // The signed number has the same bits.
    value.value = nvmlValue_t { uiVal: board.number(key, usual) as c_uint };
}
