//! The boards of this machine: NVIDIA GPUs through NVML where there are any, else simulated ones.

mod boards;
mod nvml;
mod seats;
mod simulated;

use helixflow_model::Bytes;

pub(crate) use boards::Boards;
pub(crate) use seats::{Seat, Seats};
pub use simulated::Simulated;
pub(crate) use simulated::router as simulated_router;

/// Finds the boards. A machine whose driver is missing or broken counts as one without GPUs: work is done on its CPU.
pub(crate) fn boards(simulated: &Simulated) -> Boards {
    match nvml::boards() {
        Ok(boards) if !boards.is_empty() => Boards::Real(boards),
        Ok(_) => {
            tracing::info!(?simulated, "the NVIDIA driver knows no GPU: boards are simulated");
            Boards::simulated(simulated)
        }
        Err(error) => {
            tracing::info!(%error, ?simulated, "no NVIDIA driver answers: boards are simulated");
            Boards::simulated(simulated)
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
        let boards = boards(&Simulated::default()).all();
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
