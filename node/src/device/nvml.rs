//! NVIDIA GPUs through NVML, which is loaded at run time: a machine without the driver needs nothing.
//!
//! Every call may block for as long as the driver is in trouble, so readings run on threads of their own, at most one
//! a board. Clocks are only read here; a governor that sets them is left for later.

use std::ffi::OsStr;
use std::sync::Arc;

use futures::future::BoxFuture;
use helixflow_actors::{Board, BoardError, ClockError};
use helixflow_model::{
    BoardId, BoardInfo, BoardLimits, BoardReading, Bytes, DeviceId, DeviceKind, DeviceReading, MegaHertz,
    MilliCelsius, MilliWatts, Partition, Permille, Sensed,
};
use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use tokio::sync::Semaphore;

/// The library's name where only the driver is installed, without files for developers.
const DRIVER_LIBRARY: &str = "libnvidia-ml.so.1";

/// One GPU.
struct NvidiaBoard {
    nvml: Arc<Nvml>,
    info: BoardInfo,
    /// One reading at a time: a thread that hangs in the driver is not joined by others.
    turn: Arc<Semaphore>,
}

/// The last reading has not come back.
#[derive(Debug, thiserror::Error)]
#[error("the driver has not answered the last reading yet; `nvidia-smi` shows whether it hangs")]
struct StillReading;

/// The GPUs that the driver knows.
pub(super) fn boards() -> Result<Vec<Arc<dyn Board>>, BoardError> {
    let nvml = Arc::new(Nvml::builder().lib_path(OsStr::new(DRIVER_LIBRARY)).init()?);
    let mut boards: Vec<Arc<dyn Board>> = Vec::new();
    for index in 0..nvml.device_count()? {
        let device = nvml.device_by_index(index)?;
        let (uuid, name) = (device.uuid()?, device.name()?);
        tracing::info!(uuid, name, "found a GPU");
        boards.push(Arc::new(NvidiaBoard {
            nvml: Arc::clone(&nvml),
            info: BoardInfo {
                board: BoardId::new(uuid)?,
                name,
                kind: DeviceKind::Nvidia,
                limits: BoardLimits::default(),
            },
            turn: Arc::new(Semaphore::new(1)),
        }));
    }
    Ok(boards)
}

impl Board for NvidiaBoard {
    fn info(&self) -> &BoardInfo {
        &self.info
    }

    fn read(&self) -> BoxFuture<'_, Result<BoardReading, BoardError>> {
        Box::pin(async move {
            let turn = Arc::clone(&self.turn).try_acquire_owned().map_err(|_| StillReading)?;
            let (nvml, board) = (Arc::clone(&self.nvml), self.info.board.clone());
            #[expect(
                clippy::disallowed_methods,
                reason = "the driver blocks for as long as it likes, and no simulation has a GPU"
            )]
            let reading = tokio::task::spawn_blocking(move || {
                let reading = read(&nvml, &board);
                drop(turn);
                reading
            });
            reading.await?
        })
    }

    fn limit_clock(&self, _: Option<MegaHertz>) -> BoxFuture<'_, Result<(), ClockError>> {
        Box::pin(std::future::ready(Err(ClockError::NotPermitted {
            why: "clocks are not set yet".to_owned(),
        })))
    }
}

fn read(nvml: &Nvml, board: &BoardId) -> Result<BoardReading, BoardError> {
    let device = nvml.device_by_uuid(board.as_str())?;
    let temperature = device.temperature(TemperatureSensor::Gpu)?;
    let memory = device.memory_info()?;
    Ok(BoardReading {
        core: Sensed::Live(MilliCelsius(i32::try_from(temperature).unwrap_or(i32::MAX).saturating_mul(1000))),
        // Not every board tells these two: none under MIG, no power on some laptops.
        power: device.power_usage().map_or(Sensed::Unsupported, |power| Sensed::Live(MilliWatts(power))),
        utilization: device
            .utilization_rates()
            .map_or(Sensed::Unsupported, |rates| Sensed::Live(percent(rates.gpu))),
        devices: vec![DeviceReading {
            device: DeviceId::new(board.as_str())?,
            partition: Partition::Whole,
            memory_total: Bytes(memory.total),
            memory_used: Bytes(memory.used),
        }],
        ..BoardReading::default()
    })
}

fn percent(percent: u32) -> Permille {
    Permille(u16::try_from(percent.min(100) * 10).unwrap_or(1000))
}
