//! Fault events. A board's `xids` are all that ever came, in order; a set delivers those that came after it was made.

use std::ffi::{c_uint, c_ulonglong};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlEventData_t, nvmlEventSet_t, nvmlEventTypeXidCriticalError,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT, nvmlReturn_enum_NVML_ERROR_TIMEOUT,
    nvmlReturn_enum_NVML_SUCCESS, nvmlReturn_t,
};
use serde_json::Value;

use crate::script::{Script, play, play_board, record_event, record_failed_wait, rest};

/// The board that a set gathers of, as the number that its handle is, and how many events of it are delivered.
#[derive(Default)]
struct Set {
    device: usize,
    delivered: usize,
}

/// All sets; a handle is the place of one, counted from 1.
static SETS: Mutex<Vec<Set>> = Mutex::new(Vec::new());

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlEventSetCreate(set: *mut nvmlEventSet_t) -> nvmlReturn_t {
    play("nvmlEventSetCreate", |_| {
        let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
        sets.push(Set::default());
        // SAFETY: the caller's handle.
        unsafe { set.write(std::ptr::without_provenance_mut(sets.len())) };
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceRegisterEvents(
    device: nvmlDevice_t,
    _types: c_ulonglong,
    set: nvmlEventSet_t,
) -> nvmlReturn_t {
    play_board("nvmlDeviceRegisterEvents", device, |board| {
        let delivered = board.board["xids"].as_array().map_or(0, Vec::len);
        let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
        match set.addr().checked_sub(1).and_then(|at| sets.get_mut(at)) {
            Some(set) => *set = Set { device: device.addr(), delivered },
            None => return nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT,
        }
        nvmlReturn_enum_NVML_SUCCESS
    })
}

/// Waits until there is an event or the time is over, as NVML does: several that came before the call all bear the code of
/// the last one.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlEventSetWait_v2(
    set: nvmlEventSet_t,
    data: *mut nvmlEventData_t,
    timeout: c_uint,
) -> nvmlReturn_t {
    let outcome = play("nvmlEventSetWait_v2", |_| {
        let mut waited = Duration::ZERO;
        loop {
            match next(set) {
                Err(error) => return error,
                Ok(Some((device, code))) => {
                    record_event(code);
                    // SAFETY: the caller's structure.
                    let data = unsafe { &mut *data };
                    data.device = device;
                    data.eventType = c_ulonglong::from(nvmlEventTypeXidCriticalError);
                    data.eventData = code;
                    return nvmlReturn_enum_NVML_SUCCESS;
                }
                Ok(None) if waited >= Duration::from_millis(timeout.into()) => {
                    return nvmlReturn_enum_NVML_ERROR_TIMEOUT;
                }
                Ok(None) => waited += rest(),
            }
        }
    });
    if ![nvmlReturn_enum_NVML_SUCCESS, nvmlReturn_enum_NVML_ERROR_TIMEOUT].contains(&outcome) {
        record_failed_wait(outcome);
    }
    outcome
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetFree(_set: nvmlEventSet_t) -> nvmlReturn_t {
    play("nvmlEventSetFree", |_| nvmlReturn_enum_NVML_SUCCESS)
}

/// The next event of a set: whose it is, and the last code that its board told.
fn next(set: nvmlEventSet_t) -> Result<Option<(nvmlDevice_t, c_ulonglong)>, nvmlReturn_t> {
    let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(set) = set.addr().checked_sub(1).and_then(|at| sets.get_mut(at)) else {
        return Err(nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    };
    let device: nvmlDevice_t = std::ptr::without_provenance_mut(set.device);
    let script = Script::read();
    let xids = script.board(device).and_then(|board| board.board["xids"].as_array());
    let Some(xids) = xids.filter(|xids| xids.len() > set.delivered) else { return Ok(None) };
    set.delivered += 1;
    Ok(xids.last().and_then(Value::as_u64).map(|code| (device, code)))
}
