//! The boards of this machine: NVIDIA GPUs through NVML where there are any, else one simulated board.

mod nvml;
mod simulated;

use std::sync::Arc;

use helixflow_actors::Board;
use helixflow_model::Bytes;

use simulated::SimulatedBoard;

/// Finds the boards. A machine whose driver is missing or broken counts as one without GPUs: work is done on its CPU.
pub(crate) fn boards() -> Vec<Arc<dyn Board>> {
    match nvml::boards() {
        Ok(boards) if !boards.is_empty() => boards,
        Ok(_) => {
            tracing::info!("the NVIDIA driver knows no GPU: the board is simulated");
            vec![Arc::new(SimulatedBoard)]
        }
        Err(error) => {
            tracing::info!(%error, "no NVIDIA driver answers: the board is simulated");
            vec![Arc::new(SimulatedBoard)]
        }
    }
}

/// The machine's memory.
pub(crate) fn machine_memory() -> Bytes {
    simulated::memory().total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_board_of_this_machine_is_read() {
        let boards = boards();
        assert!(!boards.is_empty(), "a machine without a GPU has a simulated board");
        for board in boards {
            let report = board.read().await.expect("a board that answers");
            assert_eq!(report.board, board.id());
            assert!((1_000..120_000).contains(&report.temperature.0), "{report:?}");
            assert!(
                report.memory_total.0 > 1 << 20 && report.memory_used <= report.memory_total,
                "{report:?}"
            );
            println!("{report:?}");
        }
    }
}
