//! A board for machines without a GPU: constant temperature, the machine's own memory, and a name that says so.

use futures::future::BoxFuture;
use helixflow_actors::{Board, BoardError, ClockError};
use helixflow_model::{
    BoardId, BoardInfo, BoardLimits, BoardReading, Bytes, DeviceId, DeviceKind, DeviceReading, InvalidName,
    MegaHertz, MilliCelsius, Partition, Sensed,
};

const ID: &str = "simulated-0";
/// Well below any limit, so that no decision is ever taken on account of it.
const TEMPERATURE: MilliCelsius = MilliCelsius(40_000);

/// Stands in for a GPU.
pub(super) struct SimulatedBoard {
    info: BoardInfo,
    device: DeviceId,
}

impl SimulatedBoard {
    pub(super) fn new() -> Result<Self, InvalidName> {
        let info = BoardInfo {
            board: BoardId::new(ID)?,
            name: "CPU (simulated board)".to_owned(),
            kind: DeviceKind::Simulated,
            limits: BoardLimits::default(),
        };
        Ok(Self { info, device: DeviceId::new(ID)? })
    }
}

/// Memory of the machine.
pub(super) struct Memory {
    pub(super) total: Bytes,
    used: Bytes,
}

/// What the kernel says of the machine's memory.
pub(super) fn memory() -> Memory {
    let info = rustix::system::sysinfo();
    let bytes = |units: u64| Bytes(units.saturating_mul(u64::from(info.mem_unit)));
    let free = info.freeram.saturating_add(info.bufferram);
    Memory { total: bytes(info.totalram), used: bytes(info.totalram.saturating_sub(free)) }
}

impl Board for SimulatedBoard {
    fn info(&self) -> &BoardInfo {
        &self.info
    }

    fn read(&self) -> BoxFuture<'_, Result<BoardReading, BoardError>> {
        let Memory { total, used } = memory();
        let device = DeviceReading {
            device: self.device.clone(),
            partition: Partition::Whole,
            memory_total: total,
            memory_used: used,
        };
        let core = Sensed::Live(TEMPERATURE);
        Box::pin(std::future::ready(Ok(BoardReading {
            core,
            devices: vec![device],
            ..BoardReading::default()
        })))
    }

    fn limit_clock(&self, _: Option<MegaHertz>) -> BoxFuture<'_, Result<(), ClockError>> {
        Box::pin(std::future::ready(Err(ClockError::NotPermitted {
            why: "a simulated board has no clock yet".to_owned(),
        })))
    }
}
