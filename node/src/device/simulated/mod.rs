//! Boards for machines without a GPU: a physical model in real time, heated by the work that the CPU does.
//!
//! ```text
//! config   what the node's configuration says of them      live   one model, moved on whenever it is read
//! pace     what a shard on one rests for its clock's sake  door   HTTP: the truth, and other surroundings and faults
//! ```
//!
//! Nothing runs on its own: a board is moved on when somebody reads it, so an idle node spends nothing on it.

mod config;
mod door;
mod live;
mod pace;

use std::sync::Arc;

use futures::future::BoxFuture;
use helixflow_actors::{Board, BoardError, ClockError};
use helixflow_control::HeldBy;
use helixflow_model::{
    BoardId, BoardInfo, BoardReading, Bytes, DeviceId, DeviceKind, DeviceReading, InvalidName, MegaHertz,
    Partition,
};
use helixflow_physics::{Fault, Parameters, Surroundings, Unreadable};
use parking_lot::Mutex;
use tokio::time::Instant;

pub use config::Simulated;
pub(crate) use door::router;
use live::Live;
pub(crate) use pace::BoardPace;

/// Stands in for a GPU.
pub(crate) struct SimulatedBoard {
    info: BoardInfo,
    device: DeviceId,
    /// One part in so many of the machine's memory is this board's.
    share: u64,
    /// The air that it has unless it is given other.
    air: Surroundings,
    live: Mutex<Live>,
}

/// The boards of the configuration, named `simulated-0` and so on.
pub(crate) fn boards(config: &Simulated) -> Result<Vec<Arc<SimulatedBoard>>, InvalidName> {
    let product = config.product();
    (0..config.boards).map(|number| SimulatedBoard::new(product, config, number).map(Arc::new)).collect()
}

impl SimulatedBoard {
    fn new(product: Parameters, config: &Simulated, number: u16) -> Result<Self, InvalidName> {
        let id = format!("simulated-{number}");
        let seed = config.seed.wrapping_add(u64::from(number));
        let product = product.varied(seed);
        let info = BoardInfo {
            board: BoardId::new(id.as_str())?,
            name: format!("{} (simulated)", product.name),
            kind: DeviceKind::Simulated,
            limits: product.limits(),
        };
        let air = Surroundings { inlet: config.inlet, ..Surroundings::default() };
        Ok(Self {
            info,
            device: DeviceId::new(id)?,
            share: u64::from(config.boards),
            air,
            live: Mutex::new(Live::new(helixflow_physics::Board::new(product, air, seed))),
        })
    }

    /// Gives it other air and other faults, and turns it on where it has turned itself off.
    fn change(&self, air: Surroundings, faults: &[Fault], now: Instant) {
        let mut live = self.live.lock();
        let board = live.at(now);
        board.set_surroundings(air);
        board
            .faults()
            .into_iter()
            .filter(|fault| !faults.contains(fault))
            .for_each(|old| board.take_off(old));
        faults.iter().for_each(|fault| board.put_on(*fault));
        if board.truth().turned_off {
            board.power_cycle();
        }
    }

    fn read_now(&self) -> Result<BoardReading, Unreadable> {
        let reading = self.live.lock().at(Instant::now()).reading()?;
        Ok(BoardReading { devices: vec![self.memory()], ..reading })
    }

    fn memory(&self) -> DeviceReading {
        let Memory { total, used } = memory();
        DeviceReading {
            device: self.device.clone(),
            partition: Partition::Whole,
            memory_total: Bytes(total.0 / self.share),
            memory_used: Bytes(used.0 / self.share),
        }
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
        Box::pin(async {
            match self.read_now() {
                Ok(reading) => Ok(reading),
                // As with a driver in trouble: the caller has a deadline.
                Err(Unreadable::Blocked) => std::future::pending().await,
                Err(lost) => Err(lost.into()),
            }
        })
    }

    fn limit_clock(&self, clock: Option<MegaHertz>) -> BoxFuture<'_, Result<HeldBy, ClockError>> {
        Box::pin(async move {
            let asked = {
                let mut live = self.live.lock();
                let board = live.at(Instant::now());
                let readable = board.readable();
                if readable.is_ok() {
                    board.limit_clock(clock);
                }
                readable
            };
            match asked {
                Ok(()) => Ok(HeldBy::Clock),
                Err(Unreadable::Blocked) => std::future::pending().await,
                Err(lost) => Err(ClockError::Failed(lost.into())),
            }
        })
    }

    fn leave_clock(&self) {
        // Nothing of it outlives the node.
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use helixflow_engine::Pace;
    use helixflow_engine::schedule::Stepped;
    use helixflow_model::{ClockReasons, MilliCelsius};

    use super::*;

    const DECODE: Stepped = Stepped { rows: 4, tokens: 4 };

    fn board(config: &Simulated) -> Arc<SimulatedBoard> {
        boards(config).expect("valid names").remove(0)
    }

    async fn core(board: &SimulatedBoard) -> MilliCelsius {
        board.read().await.expect("a board that answers").core.live().expect("a temperature")
    }

    /// Work for so many seconds, read once a second as the actors do; gives the rests of the last second.
    async fn work(board: &Arc<SimulatedBoard>, seconds: u32) -> Duration {
        let mut pace = BoardPace::new(Arc::clone(board));
        let mut rest = Duration::ZERO;
        for _ in 0..seconds {
            rest = pace.rest(DECODE, Duration::from_secs(1));
            tokio::time::sleep(Duration::from_secs(1) + rest).await;
            core(board).await;
        }
        rest
    }

    #[tokio::test(start_paused = true)]
    async fn a_cool_board_adds_no_rest_at_all_and_is_heated_by_work() {
        let board = board(&Simulated::default());
        let before = core(&board).await;
        assert_eq!(work(&board, 120).await, Duration::ZERO);
        let reading = board.read().await.expect("a reading");
        assert!(reading.core.live().expect("a temperature").0 > before.0 + 15_000, "{reading:?}");
        assert_eq!(reading.utilization.live().map(|share| share.0), Some(1000));
        tokio::time::sleep(Duration::from_secs(600)).await;
        let reading = board.read().await.expect("a reading");
        assert!((reading.core.live().expect("a temperature").0 - before.0).abs() <= 2_000, "{reading:?}");
        assert_eq!(reading.reasons.live(), Some(ClockReasons::IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lower_clock_makes_the_shard_rest() {
        let board = board(&Simulated::default());
        work(&board, 2).await;
        board.limit_clock(Some(MegaHertz(495))).await.expect("permitted");
        // A quarter of the clock, which is below what keeps the memory busy.
        let rest = work(&board, 3).await;
        assert!(rest > Duration::from_millis(900) && rest <= Duration::from_secs(2), "{rest:?}");
        board.limit_clock(None).await.expect("permitted");
        work(&board, 1).await;
        assert_eq!(work(&board, 1).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn two_busy_replicas_leave_a_board_no_work_for_long_after_their_end() {
        let board = board(&Simulated::default());
        let mut paces = [(); 2].map(|()| BoardPace::new(Arc::clone(&board)));
        for _ in 0..120 {
            let rests = paces.each_mut().map(|pace| pace.rest(DECODE, Duration::from_secs(1)));
            tokio::time::sleep(Duration::from_secs(1) + rests[0].max(rests[1])).await;
            core(&board).await;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        core(&board).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let reading = board.read().await.expect("a reading");
        assert_eq!(reading.reasons.live(), Some(ClockReasons::IDLE), "{reading:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn hot_air_brings_a_loaded_board_to_its_limit() {
        let board = board(&Simulated { inlet: 60.0, ..Simulated::default() });
        assert!(work(&board, 900).await > Duration::ZERO);
        let reading = board.read().await.expect("a reading");
        assert!(reading.reasons.live().is_some_and(ClockReasons::is_thermal), "{reading:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_blocked_board_never_answers_and_a_lost_one_says_so() {
        let board = board(&Simulated::default());
        let air = Surroundings::default();
        board.change(air, &[Fault::BlockedCall], Instant::now());
        assert!(tokio::time::timeout(Duration::from_secs(3600), board.read()).await.is_err());
        assert!(tokio::time::timeout(Duration::from_secs(3600), board.limit_clock(None)).await.is_err());
        board.change(air, &[Fault::OffTheBus], Instant::now());
        let lost = board.read().await.map_err(|error| error.to_string());
        assert!(lost.is_err_and(|words| words.contains("fallen off the bus")));
        board.change(air, &[], Instant::now());
        core(&board).await;
    }

    #[tokio::test]
    async fn boards_share_the_machines_memory() {
        let all = boards(&Simulated { boards: 4, ..Simulated::default() }).expect("valid names");
        let ids: Vec<&str> = all.iter().map(|board| board.info.board.as_str()).collect();
        assert_eq!(ids, ["simulated-0", "simulated-1", "simulated-2", "simulated-3"]);
        let mut total = 0;
        for board in &all {
            let reading = board.read().await.expect("a reading");
            let device = reading.devices.first().expect("its memory");
            assert!(device.memory_used <= device.memory_total);
            total += device.memory_total.0;
        }
        assert!(total <= memory().total.0 && total + 4 > memory().total.0);
    }
}
