//! Fault events. A board's `xids` are all that ever came, in order; a set delivers those that came after it was made.

use std::ffi::{c_uint, c_ulonglong};
use std::sync::{Mutex, PoisonError};

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlEventData_t, nvmlEventSet_t, nvmlEventTypeXidCriticalError,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT, nvmlReturn_enum_NVML_ERROR_TIMEOUT,
    nvmlReturn_enum_NVML_SUCCESS, nvmlReturn_t,
};

use crate::script::{Script, play, play_board};

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

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlEventSetWait_v2(
    set: nvmlEventSet_t,
    data: *mut nvmlEventData_t,
    _timeout: c_uint,
) -> nvmlReturn_t {
    play("nvmlEventSetWait_v2", |script| {
        let mut sets = SETS.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(set) = set.addr().checked_sub(1).and_then(|at| sets.get_mut(at)) else {
            return nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT;
        };
        let device: nvmlDevice_t = std::ptr::without_provenance_mut(set.device);
        let Some(code) = next(script, device, set.delivered) else {
            return nvmlReturn_enum_NVML_ERROR_TIMEOUT;
        };
        set.delivered += 1;
        // SAFETY: the caller's structure.
        let data = unsafe { &mut *data };
        data.device = device;
        data.eventType = c_ulonglong::from(nvmlEventTypeXidCriticalError);
        data.eventData = code;
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetFree(_set: nvmlEventSet_t) -> nvmlReturn_t {
    play("nvmlEventSetFree", |_| nvmlReturn_enum_NVML_SUCCESS)
}

fn next(script: &Script, device: nvmlDevice_t, delivered: usize) -> Option<c_ulonglong> {
    script.board(device)?.board["xids"][delivered].as_u64()
}
