//! A board for machines without a GPU: constant temperature, the machine's own memory, and a name that says so.

use futures::future::BoxFuture;
use helixflow_actors::{Board, BoardError};
use helixflow_model::{BoardReport, Bytes, DeviceKind, MilliCelsius};

const ID: &str = "simulated-0";
/// Well below any limit, so that no decision is ever taken on account of it.
const TEMPERATURE: MilliCelsius = MilliCelsius(40_000);

/// Stands in for a GPU.
pub(super) struct SimulatedBoard;

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
    fn id(&self) -> &str {
        ID
    }

    fn read(&self) -> BoxFuture<'_, Result<BoardReport, BoardError>> {
        let Memory { total, used } = memory();
        let report = BoardReport {
            board: ID.to_owned(),
            name: "CPU (simulated board)".to_owned(),
            kind: DeviceKind::Simulated,
            temperature: TEMPERATURE,
            power: None,
            memory_total: total,
            memory_used: used,
            utilization: None,
        };
        Box::pin(std::future::ready(Ok(report)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_simulated_board_says_so() {
        let report = SimulatedBoard.read().await.expect("a board that is always read");
        assert_eq!((report.kind, report.temperature), (DeviceKind::Simulated, TEMPERATURE));
        assert!(report.name.contains("simulated"));
    }
}
