//! Calls that set a board. Each is written to the log; a power limit that was set is read back from there, for a board
//! keeps it when the process that set it ends.
#![expect(clippy::disallowed_methods, reason = "the log lies on the real disk")]

use std::ffi::c_uint;
use std::fs::OpenOptions;
use std::io::Write;

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlReturn_enum_NVML_ERROR_UNKNOWN, nvmlReturn_enum_NVML_SUCCESS, nvmlReturn_t,
};

use crate::script::{Board, log, play_board};

/// What a power limit that was set looks like in the log.
const SET_POWER: &str = "nvmlDeviceSetPowerManagementLimit";

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceSetGpuLockedClocks(
    device: nvmlDevice_t,
    least: c_uint,
    most: c_uint,
) -> nvmlReturn_t {
    play_board("nvmlDeviceSetGpuLockedClocks", device, |board| {
        record(&format!("nvmlDeviceSetGpuLockedClocks {} {least} {most}", board.uuid()))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceResetGpuLockedClocks(device: nvmlDevice_t) -> nvmlReturn_t {
    play_board("nvmlDeviceResetGpuLockedClocks", device, |board| {
        record(&format!("nvmlDeviceResetGpuLockedClocks {}", board.uuid()))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceSetPowerManagementLimit(device: nvmlDevice_t, limit: c_uint) -> nvmlReturn_t {
    play_board(SET_POWER, device, |board| record(&format!("{SET_POWER} {} {limit}", board.uuid())))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetPowerManagementLimit(
    device: nvmlDevice_t,
    limit: *mut c_uint,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetPowerManagementLimit", device, |board| {
        // SAFETY: the caller's number.
        unsafe { limit.write(board.number("power_limit_now", power_limit(board)) as c_uint) };
        nvmlReturn_enum_NVML_SUCCESS
    })
}

/// What was set last, or what the board was delivered with.
fn power_limit(board: &Board<'_>) -> i64 {
    let log = std::fs::read_to_string(log()).unwrap_or_default();
    let prefix = format!("{SET_POWER} {} ", board.uuid());
    let set = log.lines().rev().find_map(|line| line.strip_prefix(&prefix)?.parse().ok());
    set.unwrap_or(700_000)
}

fn record(line: &str) -> nvmlReturn_t {
    let file = OpenOptions::new().create(true).append(true).open(log());
    match file.and_then(|mut file| writeln!(file, "{line}")) {
        Ok(()) => nvmlReturn_enum_NVML_SUCCESS,
        Err(_) => nvmlReturn_enum_NVML_ERROR_UNKNOWN,
    }
}
