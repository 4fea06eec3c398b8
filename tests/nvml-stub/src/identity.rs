//! Calls that tell what there is: the driver, the boards, the instances on them.

use std::ffi::{CStr, c_char, c_uint};

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE, nvmlReturn_enum_NVML_ERROR_NOT_FOUND,
    nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED, nvmlReturn_enum_NVML_SUCCESS, nvmlReturn_t,
};
use serde_json::Value;

use crate::script::{Script, handle, play, play_board};

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> nvmlReturn_t {
    play("nvmlInit_v2", |_| nvmlReturn_enum_NVML_SUCCESS)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> nvmlReturn_t {
    play("nvmlShutdown", |_| nvmlReturn_enum_NVML_SUCCESS)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) -> nvmlReturn_t {
    play("nvmlSystemGetDriverVersion", |script| {
        // SAFETY: the caller's buffer has that length.
        unsafe { tell(script.text("driver", "570.86.15"), version, length) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> nvmlReturn_t {
    play("nvmlDeviceGetCount_v2", |script| {
        // SAFETY: the caller's number.
        unsafe { count.write(script.boards().len() as c_uint) };
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut nvmlDevice_t) -> nvmlReturn_t {
    let found = handle(index as usize, None);
    play_board("nvmlDeviceGetHandleByIndex_v2", found, |_| {
        // SAFETY: the caller's handle.
        unsafe { device.write(found) };
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByUUID(
    uuid: *const c_char,
    device: *mut nvmlDevice_t,
) -> nvmlReturn_t {
    // SAFETY: a string of the caller's, which ends in a zero.
    let uuid = unsafe { CStr::from_ptr(uuid) }.to_string_lossy();
    let script = Script::read();
    let Some(index) = script.boards().iter().position(|board| board["uuid"] == uuid.as_ref()) else {
        return nvmlReturn_enum_NVML_ERROR_NOT_FOUND;
    };
    let found = handle(index, None);
    play_board("nvmlDeviceGetHandleByUUID", found, |_| {
        // SAFETY: the caller's handle.
        unsafe { device.write(found) };
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetUUID(
    device: nvmlDevice_t,
    uuid: *mut c_char,
    length: c_uint,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetUUID", device, |board| {
        // SAFETY: the caller's buffer has that length.
        unsafe { tell(board.uuid(), uuid, length) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetName(
    device: nvmlDevice_t,
    name: *mut c_char,
    length: c_uint,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetName", device, |board| {
        // SAFETY: the caller's buffer has that length.
        unsafe { tell(board.board["name"].as_str().unwrap_or("Stub H100"), name, length) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigMode(
    device: nvmlDevice_t,
    current: *mut c_uint,
    pending: *mut c_uint,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetMigMode", device, |board| {
        let is_divided = c_uint::from(board.board["mig"].is_array());
        // SAFETY: the caller's numbers.
        unsafe {
            current.write(is_divided);
            pending.write(is_divided);
        }
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMaxMigDeviceCount(
    device: nvmlDevice_t,
    count: *mut c_uint,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetMaxMigDeviceCount", device, |board| {
        let Some(places) = board.board["mig"].as_array() else {
            return nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED;
        };
        // SAFETY: the caller's number.
        unsafe { count.write(places.len() as c_uint) };
        nvmlReturn_enum_NVML_SUCCESS
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    device: nvmlDevice_t,
    index: c_uint,
    instance: *mut nvmlDevice_t,
) -> nvmlReturn_t {
    play_board("nvmlDeviceGetMigDeviceHandleByIndex", device, |board| {
        if board.board["mig"][index as usize] == Value::Null {
            return nvmlReturn_enum_NVML_ERROR_NOT_FOUND;
        }
        let uuid = &board.board["uuid"];
        let Some(at) = Script::read().boards().iter().position(|board| board["uuid"] == *uuid) else {
            return nvmlReturn_enum_NVML_ERROR_NOT_FOUND;
        };
        // SAFETY: the caller's handle.
        unsafe { instance.write(handle(at, Some(index as usize))) };
        nvmlReturn_enum_NVML_SUCCESS
    })
}

/// Writes a string that ends in a zero.
///
/// # Safety
/// `into` must point to `length` writable bytes.
unsafe fn tell(text: &str, into: *mut c_char, length: c_uint) -> nvmlReturn_t {
    if text.len() >= length as usize {
        return nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE;
    }
    // SAFETY: text and zero fit, as was just seen.
    unsafe {
        into.copy_from_nonoverlapping(text.as_ptr().cast(), text.len());
        into.add(text.len()).write(0);
    }
    nvmlReturn_enum_NVML_SUCCESS
}
