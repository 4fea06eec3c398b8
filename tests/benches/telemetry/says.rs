//! What a simulated node says: one board with all its sensors, one replica, figures that move from report to report.

use helixflow_proto::v1::{
    Band, BoardLimits, BoardReading, BoardReport, BoardStanding, ClockControl, DeviceKind, Duty, EccErrors,
    Fence, LoadReport, NodeReport, PcieLink, ReplicaPhase, ReplicaReport, RowRemapping,
};

/// Where all nodes stand.
pub(crate) const REGION: &str = "eu-1";
/// The model that all of them serve.
pub(crate) const MODEL: &str = "m";
/// Its version.
pub(crate) const VERSION: &str = "1";
/// How many degrees a board has left at most, in thousandths.
const MOST_LEFT: u32 = 30_000;

/// One report of a node. The same numbers give the same report.
pub(crate) fn report(node: u64, advertise: &str, sequence: u64, serves: Option<Fence>) -> NodeReport {
    let mut moves = Moves(node << 32 | sequence);
    NodeReport {
        node,
        region: REGION.to_owned(),
        advertise: advertise.to_owned(),
        sequence,
        age_ms: 0,
        replicas: serves.map(|fence| replica(fence, board(node), &mut moves)).into_iter().collect(),
        boards: vec![board_report(node, serves.is_some(), &mut moves)],
    }
}

fn board(node: u64) -> String {
    format!("GPU-{node:032x}")
}

fn replica(fence: Fence, board: String, moves: &mut Moves) -> ReplicaReport {
    let active = moves.below(16);
    // A batch is quicker than one sequence alone, and not as many times as it has sequences.
    let speed = 1_000_000 * u64::from(active) / (16 + u64::from(active));
    ReplicaReport {
        fence: Some(fence),
        epoch: 1,
        model: MODEL.to_owned(),
        version: VERSION.to_owned(),
        phase: ReplicaPhase::Ready.into(),
        detail: String::new(),
        numerics_class: "cpu-1".to_owned(),
        load: Some(LoadReport {
            queued: moves.below(8).saturating_sub(5),
            active,
            kv_pages_free: 4096 - active * 64,
            kv_pages_total: 4096,
            sequences: 32,
            prefill_backlog: moves.below(2048),
            millitokens_per_second: speed,
            busy_milli: active * 1000,
        }),
        boards: vec![board],
    }
}

/// Nothing heats a board that serves nothing; a hot one would be given no replica.
fn board_report(node: u64, serves: bool, moves: &mut Moves) -> BoardReport {
    // Some boards are always hotter than others; from report to report it is a fraction of a degree.
    let usual = if serves { Moves(node).below(MOST_LEFT) } else { MOST_LEFT };
    let left = i32::try_from(usual + moves.below(500)).unwrap_or_default();
    let band = match usual {
        0..3000 => Band::Hot,
        3000..9000 => Band::Warm,
        _ => Band::Cool,
    };
    BoardReport {
        board: board(node),
        name: "NVIDIA H100 80GB HBM3".to_owned(),
        kind: DeviceKind::Nvidia.into(),
        limits: Some(BoardLimits {
            operating_millicelsius: Some(87_000),
            slowdown_millicelsius: Some(89_000),
            shutdown_millicelsius: Some(92_000),
            memory_millicelsius: Some(95_000),
            power_least_milliwatts: Some(200_000),
            power_most_milliwatts: Some(700_000),
            clock_least_mhz: Some(345),
            clock_most_mhz: Some(1980),
        }),
        reading: Some(reading(left, moves)),
        age_ms: 40,
        standing: Some(BoardStanding {
            band: band.into(),
            duty: Duty::Full.into(),
            control: ClockControl::Governed.into(),
            target_clock_mhz: None,
            forecast_millicelsius: Some(87_000 - left),
            headroom_millicelsius: Some(left),
            speed_permille: 900 + moves.below(101),
            weight_permille: 1000,
        }),
    }
}

fn reading(left: i32, moves: &mut Moves) -> BoardReading {
    BoardReading {
        core_millicelsius: Some(86_000 - left),
        memory_millicelsius: Some(90_000 - left),
        margin_millicelsius: Some(left),
        power_milliwatts: Some(300_000 + moves.below(400_000)),
        power_limit_milliwatts: Some(700_000),
        core_clock_mhz: Some(1500 + moves.below(480)),
        memory_clock_mhz: Some(2619),
        utilization_permille: Some(moves.below(1000)),
        reasons: Some(0),
        ecc: Some(EccErrors::default()),
        remapping: Some(RowRemapping::default()),
        pcie: Some(PcieLink { generation: 5, width: 16, replays: 0 }),
        ..BoardReading::default()
    }
}

/// Numbers that follow from one number: SplitMix64 (Steele, Lea and Flood 2014).
struct Moves(u64);

impl Moves {
    fn below(&mut self, count: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = (z ^ (z >> 31)) >> 32;
        u32::try_from((bits * u64::from(count)) >> 32).unwrap_or_default()
    }
}
