//! NVIDIA GPUs through NVML, which is loaded at run time: a machine without the driver needs nothing.
//!
//! The library is opened only in the process that reads devices, and stays open until that process ends: closing it
//! could block as any other call. Limits are read from each board; products differ.

mod board;
mod clock;
mod faults;
mod limits;
mod unwrapped;

use std::path::Path;

use helixflow_model::{BoardId, BoardInfo, DeviceKind, MilliCelsius, Sensed};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::driver::Driver;
use super::protocol::Inventory;
use board::NvidiaBoard;

/// Opens the library and adds the GPUs that the driver knows; a machine without the library has none, and no trouble.
pub(super) fn open(library: &Path, found: &mut Inventory, drivers: &mut Vec<Box<dyn Driver>>) {
    match Nvml::builder().lib_path(library.as_os_str()).init() {
        Ok(nvml) => boards(Box::leak(Box::new(nvml)), found, drivers),
        Err(NvmlError::LibloadingError(error)) => {
            found.notes.push(format!("no NVIDIA driver: {error}"));
        }
        Err(error) => {
            found.trouble.push(format!("the NVIDIA driver does not start: {error}; `nvidia-smi` says more"));
        }
    }
}

fn boards(nvml: &'static Nvml, found: &mut Inventory, drivers: &mut Vec<Box<dyn Driver>>) {
    let count = match nvml.device_count() {
        Ok(count) => count,
        Err(error) => {
            found.trouble.push(format!("the NVIDIA driver cannot count its GPUs: {error}"));
            return;
        }
    };
    for index in 0..count {
        match nvml
            .device_by_index(index)
            .map_err(|error| error.to_string())
            .and_then(|device| describe(&device))
        {
            Ok(info) => {
                found.boards.push(info.clone());
                drivers.push(Box::new(NvidiaBoard::new(nvml, info)));
            }
            Err(error) => found.trouble.push(format!("NVIDIA GPU {index} does not answer: {error}")),
        }
    }
}

fn describe(device: &Device<'static>) -> Result<BoardInfo, String> {
    let uuid = device.uuid().map_err(|error| error.to_string())?;
    let board = BoardId::new(uuid).map_err(|error| error.to_string())?;
    // A board without a name is a board all the same.
    let name = device.name().unwrap_or_else(|_| "NVIDIA GPU".to_owned());
    Ok(BoardInfo { board, name, kind: DeviceKind::Nvidia, limits: limits::read(device) })
}

/// What one call tells of its sensor.
fn sensed<T>(answer: Result<T, NvmlError>) -> Sensed<T> {
    match answer {
        Ok(value) => Sensed::Live(value),
        Err(error) if is_unsupported(&error) => Sensed::Unsupported,
        Err(_) => Sensed::Missing,
    }
}

/// Whether the board or this version of the driver has no such thing at all.
const fn is_unsupported(error: &NvmlError) -> bool {
    matches!(error, NvmlError::NotSupported | NvmlError::FunctionNotFound | NvmlError::FailedToLoadSymbol(_))
}

fn celsius(degrees: i64) -> MilliCelsius {
    MilliCelsius(i32::try_from(degrees.saturating_mul(1000)).unwrap_or(i32::MAX))
}
