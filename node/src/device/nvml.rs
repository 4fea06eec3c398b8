//! NVIDIA GPUs through NVML, which is loaded at run time: a machine without the driver needs nothing.
//!
//! Every call may block for as long as the driver is in trouble, so readings run on threads of their own, at most one
//! a board. Clocks are only read here; a governor that sets them is left for later.

use std::ffi::OsStr;
use std::sync::Arc;

use futures::future::BoxFuture;
use helixflow_actors::{Board, BoardError};
use helixflow_model::{BoardReport, Bytes, DeviceKind, MilliCelsius, MilliWatts, Permille};
use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
use tokio::sync::Semaphore;

/// The library's name where only the driver is installed, without files for developers.
const DRIVER_LIBRARY: &str = "libnvidia-ml.so.1";

/// One GPU.
struct NvidiaBoard {
    nvml: Arc<Nvml>,
    uuid: String,
    /// One reading at a time: a thread that hangs in the driver is not joined by others.
    turn: Arc<Semaphore>,
}

/// The last reading has not come back.
#[derive(Debug, thiserror::Error)]
#[error("the driver has not answered the last reading yet; `nvidia-smi` shows whether it hangs")]
struct StillReading;

/// The GPUs that the driver knows.
pub(super) fn boards() -> Result<Vec<Arc<dyn Board>>, NvmlError> {
    let nvml = Arc::new(Nvml::builder().lib_path(OsStr::new(DRIVER_LIBRARY)).init()?);
    let mut boards: Vec<Arc<dyn Board>> = Vec::new();
    for index in 0..nvml.device_count()? {
        let device = nvml.device_by_index(index)?;
        let (uuid, name) = (device.uuid()?, device.name()?);
        tracing::info!(uuid, name, "found a GPU");
        boards.push(Arc::new(NvidiaBoard {
            nvml: Arc::clone(&nvml),
            uuid,
            turn: Arc::new(Semaphore::new(1)),
        }));
    }
    Ok(boards)
}

impl Board for NvidiaBoard {
    fn id(&self) -> &str {
        &self.uuid
    }

    fn read(&self) -> BoxFuture<'_, Result<BoardReport, BoardError>> {
        Box::pin(async move {
            let turn = Arc::clone(&self.turn).try_acquire_owned().map_err(|_| StillReading)?;
            let (nvml, uuid) = (Arc::clone(&self.nvml), self.uuid.clone());
            #[expect(
                clippy::disallowed_methods,
                reason = "the driver blocks for as long as it likes, and no simulation has a GPU"
            )]
            let reading = tokio::task::spawn_blocking(move || {
                let reading = read(&nvml, uuid);
                drop(turn);
                reading
            });
            Ok(reading.await??)
        })
    }
}

fn read(nvml: &Nvml, uuid: String) -> Result<BoardReport, NvmlError> {
    let device = nvml.device_by_uuid(uuid.as_str())?;
    let temperature = device.temperature(TemperatureSensor::Gpu)?;
    let memory = device.memory_info()?;
    Ok(BoardReport {
        name: device.name()?,
        kind: DeviceKind::Nvidia,
        temperature: MilliCelsius(i32::try_from(temperature).unwrap_or(i32::MAX).saturating_mul(1000)),
        // Not every board tells these two: none under MIG, no power on some laptops.
        power: device.power_usage().ok().map(MilliWatts),
        utilization: device.utilization_rates().ok().map(|rates| percent(rates.gpu)),
        memory_total: Bytes(memory.total),
        memory_used: Bytes(memory.used),
        board: uuid,
    })
}

fn percent(percent: u32) -> Permille {
    Permille(u16::try_from(percent.min(100) * 10).unwrap_or(1000))
}
