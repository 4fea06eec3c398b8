//! The boards of this machine: NVIDIA GPUs through NVML where there are any, else one simulated board.

mod nvml;
mod simulated;
mod traits;

use std::sync::Arc;

use helixflow_actors::Board;
use helixflow_model::Bytes;

use simulated::SimulatedBoard;
pub(crate) use traits::traits;

/// Finds the boards. A machine whose driver is missing or broken counts as one without GPUs: work is done on its CPU.
pub(crate) fn boards() -> Vec<Arc<dyn Board>> {
    match nvml::boards() {
        Ok(boards) if !boards.is_empty() => boards,
        Ok(_) => {
            tracing::info!("the NVIDIA driver knows no GPU: the board is simulated");
            simulated_board()
        }
        Err(error) => {
            tracing::info!(%error, "no NVIDIA driver answers: the board is simulated");
            simulated_board()
        }
    }
}

fn simulated_board() -> Vec<Arc<dyn Board>> {
    SimulatedBoard::new().map_or_else(|_| Vec::new(), |board| vec![Arc::new(board) as Arc<dyn Board>])
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
            let reading = board.read().await.expect("a board that answers");
            let temperature = reading.core.live().expect("a temperature");
            assert!((1_000..120_000).contains(&temperature.0), "{reading:?}");
            for device in &reading.devices {
                assert!(
                    device.memory_total.0 > 1 << 20 && device.memory_used <= device.memory_total,
                    "{device:?}"
                );
            }
            println!("{:?} {reading:?}", board.info());
        }
    }
}
