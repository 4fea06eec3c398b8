//! NVIDIA GPUs through NVML, which is loaded at run time: a machine without the driver needs nothing.
//!
//! The library is opened only in the process that reads devices, and stays open until that process ends: closing it
//! could block as any other call. Each GPU is opened for itself, since the first call of one may hang alone. Limits are
//! read from each board; products differ.

mod board;
mod clock;
mod faults;
mod limits;
mod unwrapped;

use std::path::Path;

use helixflow_model::{BoardId, BoardInfo, DeviceKind, MilliCelsius, Sensed};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use super::driver::{Driver, Place, Shown};
use board::NvidiaBoard;

/// Opens the library and tells where the driver has GPUs; a machine without the library has none, and no trouble.
pub(super) fn open(library: &Path) -> Result<Shown, String> {
    let nvml = match Nvml::builder().lib_path(library.as_os_str()).init() {
        Ok(nvml) => nvml,
        Err(NvmlError::LibloadingError(error)) => {
            let note = Some(format!("no NVIDIA driver: {error}"));
            return Ok(Shown { note, ..Shown::default() });
        }
        Err(error) => return Err(format!("does not start: {error}; `nvidia-smi` says more")),
    };
    // A library that fails here is closed again, for it is opened anew: that may block nothing but this driver's thread.
    let count = nvml.device_count().map_err(|error| format!("cannot count its GPUs: {error}"))?;
    let nvml: &'static Nvml = Box::leak(Box::new(nvml));
    let place = |index| Place {
        name: format!("NVIDIA GPU {index}"),
        open: Box::new(move || board(nvml, index).map_err(|error| format!("does not answer: {error}"))),
    };
    Ok(Shown { places: (0..count).map(place).collect(), note: None })
}

fn board(nvml: &'static Nvml, index: u32) -> Result<Box<dyn Driver>, String> {
    let device = nvml.device_by_index(index).map_err(|error| error.to_string())?;
    Ok(Box::new(NvidiaBoard::new(nvml, describe(&device)?)))
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
