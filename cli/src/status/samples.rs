//! Made-up answers for tests of what people see: a fleet that is cool here, hot there, and lost in one place.

use helixflow_model::ClockReasons;
use helixflow_proto::v1::{
    Band, BoardLimits, BoardReading, BoardReport, BoardStanding, ClockControl, CoordinatorMember,
    CoordinatorStatus, DeviceKind, DeviceReading, Duty, FaultEvent, Fence, LoadReport, NodeStatus, Partition,
    ReplicaPhase, ReplicaReport, Sensor, StatusResponse,
};

/// An H100 that its governor holds back: a hot one, with a sensor missing, one frozen and an XID.
pub(crate) fn hot_board() -> BoardReport {
    let reading = BoardReading {
        core_millicelsius: Some(86_500),
        memory_millicelsius: Some(94_000),
        margin_millicelsius: Some(3_500),
        power_milliwatts: Some(640_000),
        power_limit_milliwatts: Some(700_000),
        core_clock_mhz: Some(1500),
        memory_clock_mhz: Some(2619),
        utilization_permille: Some(970),
        reasons: Some(ClockReasons::SOFTWARE_THERMAL.with(ClockReasons::REQUESTED).0),
        faults: vec![FaultEvent { code: 63, count: 1 }],
        devices: vec![DeviceReading {
            device: "GPU-5a1c".to_owned(),
            partition: Partition::Whole.into(),
            memory_total_bytes: 80_000_000_000,
            memory_used_bytes: 20_000_000_000,
        }],
        missing: vec![Sensor::Fan.into()],
        frozen: vec![Sensor::Margin.into()],
        ..Default::default()
    };
    BoardReport {
        board: "GPU-5a1c".to_owned(),
        name: "NVIDIA H100 80GB HBM3".to_owned(),
        kind: DeviceKind::Nvidia.into(),
        limits: Some(BoardLimits {
            operating_millicelsius: Some(87_000),
            slowdown_millicelsius: Some(90_000),
            clock_most_mhz: Some(1980),
            ..Default::default()
        }),
        reading: Some(reading),
        age_ms: 120,
        standing: Some(BoardStanding {
            band: Band::Hot.into(),
            duty: Duty::NoNewShards.into(),
            control: ClockControl::Governed.into(),
            target_clock_mhz: Some(1450),
            forecast_millicelsius: Some(88_000),
            headroom_millicelsius: Some(-1_000),
            speed_permille: 820,
            weight_permille: 1000,
        }),
    }
}

/// A simulated board at this temperature, which nobody may clock.
pub(crate) fn cool_board(board: &str, millicelsius: i32) -> BoardReport {
    BoardReport {
        board: board.to_owned(),
        name: "simulated board".to_owned(),
        kind: DeviceKind::Simulated.into(),
        reading: Some(BoardReading {
            core_millicelsius: Some(millicelsius),
            reasons: Some(ClockReasons::IDLE.0),
            ..Default::default()
        }),
        age_ms: 80,
        standing: Some(BoardStanding {
            band: Band::Cool.into(),
            duty: Duty::Full.into(),
            control: ClockControl::MonitorOnly.into(),
            speed_permille: 1000,
            weight_permille: 1000,
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A ready replica on a board, as busy as told.
pub(crate) fn replica(id: u64, board: &str, active: u32, queued: u32) -> ReplicaReport {
    ReplicaReport {
        fence: Some(Fence { replica: id, generation: 1 }),
        model: "smollm2-135m-instruct".to_owned(),
        version: "1".to_owned(),
        phase: ReplicaPhase::Ready.into(),
        load: Some(LoadReport {
            active,
            queued,
            kv_pages_free: 60,
            kv_pages_total: 64,
            millitokens_per_second: 41_500,
            busy_milli: 1000 * (active + queued),
            ..Default::default()
        }),
        boards: vec![board.to_owned()],
        ..Default::default()
    }
}

/// A node with these boards and replicas, heard of 250 ms ago.
pub(crate) fn node(
    id: u64,
    region: &str,
    boards: Vec<BoardReport>,
    replicas: Vec<ReplicaReport>,
) -> NodeStatus {
    NodeStatus {
        heat: None,
        node: id,
        region: region.to_owned(),
        advertise: format!("127.0.0.1:{}", 21_000 + id),
        health: "live".to_owned(),
        report_age_ms: Some(250),
        boards,
        replicas,
        report_own_age_ms: 0,
    }
}

/// Two regions; a busy node with a hot board, a quiet one, one that is lost.
pub(crate) fn fleet() -> StatusResponse {
    let coordinator = |id: u64, region: &str, role: &str| CoordinatorStatus {
        member: Some(CoordinatorMember { id, region: region.to_owned(), ..Default::default() }),
        role: role.to_owned(),
    };
    let lost =
        NodeStatus { health: "lost".to_owned(), report_age_ms: None, ..node(3, "us-1", vec![], vec![]) };
    StatusResponse {
        cluster: "demo".to_owned(),
        coordinator: 2,
        leader: 1,
        term: 3,
        applied_index: 42,
        quorum_age_ms: Some(40),
        coordinators: vec![
            coordinator(1, "eu-1", "leader"),
            coordinator(2, "eu-1", "follower"),
            coordinator(3, "us-1", "follower"),
        ],
        nodes: vec![
            node(1, "eu-1", vec![cool_board("simulated-0", 40_000)], vec![replica(1, "simulated-0", 0, 0)]),
            node(2, "eu-1", vec![hot_board()], vec![replica(2, "GPU-5a1c", 3, 2)]),
            lost,
        ],
        ..Default::default()
    }
}
