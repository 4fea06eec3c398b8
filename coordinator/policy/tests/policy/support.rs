//! Words for the tests: a small cluster, models, and random commands over few ids, so that they meet.

use std::collections::BTreeSet;

use helixflow_model::{
    Architecture, Band, BoardTraits, Bytes, ClusterId, CoordinatorId, DeviceFeature, DeviceKind, Duty, Epoch,
    FeatureLevel, Fence, Generation, Incarnation, KeyId, LayerRange, ModelId, ModelSpec, NodeId, Region,
    ReplicaId, Requirements, TenantId,
};
use helixflow_policy::state::{
    Capacity, ClusterState, Command, Coordinator, FEATURE_LEVEL, Heat, Key, KeyDigest, Move, MoveReason,
    NodeHealth, NodeUuid, Outcome, Part, RegionHealth, Voting,
};
use proptest::prelude::*;

/// Few of everything, so that random commands meet the same nodes, models and replicas.
const FEW: u64 = 4;

pub(crate) fn region(name: &str) -> Region {
    Region::new(name).unwrap()
}

pub(crate) fn model(name: &str) -> ModelId {
    ModelId::new(name).unwrap()
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(crate) fn spec(name: &str, memory: u64, replicas: u32) -> ModelSpec {
    ModelSpec {
        id: model(name),
        version: "1".to_owned(),
        architecture: Architecture::Llama,
        layers: 4,
        context: 2048,
        memory: Bytes(memory),
        sha256: "0123456789abcdef".repeat(4),
        size: Bytes(memory),
        sources: Vec::new(),
        replicas,
        requires: Requirements::default(),
    }
}

pub(crate) fn join(uuid: u128, in_region: &str, memory: u64) -> Command {
    Command::JoinNode {
        uuid: NodeUuid(uuid),
        region: region(in_region),
        advertise: format!("127.0.0.1:{}", 9000 + uuid),
        capacity: Capacity { boards: 1, memory: Bytes(memory) },
    }
}

pub(crate) fn bootstrap() -> Command {
    Command::Bootstrap { cluster: ClusterId::new("c1").unwrap(), incarnation: Incarnation(1) }
}

/// Applies at the next index.
pub(crate) fn apply(state: &mut ClusterState, command: Command) -> Outcome {
    state.apply(state.epoch().0 + 1, command)
}

/// A bootstrapped cluster with nodes of this region and memory; their ids count from 1.
pub(crate) fn cluster(nodes: &[(&str, u64)]) -> ClusterState {
    let mut state = ClusterState::default();
    apply(&mut state, bootstrap());
    for (uuid, (in_region, memory)) in (1..).zip(nodes) {
        apply(&mut state, join(uuid, in_region, *memory));
    }
    state
}

pub(crate) fn whole(node: u64) -> Vec<Part> {
    vec![Part { node: NodeId(node), layers: LayerRange { first: 0, end: 4 } }]
}

pub(crate) fn place(name: &str, parts: Vec<Part>) -> Move {
    Move::PlaceReplica {
        model: model(name),
        version: "1".to_owned(),
        parts,
        reason: MoveReason::BelowTarget { target: 1 },
    }
}

/// Applies one move to what is there now.
pub(crate) fn apply_move(state: &mut ClusterState, step: Move) -> Outcome {
    let based_on = state.epoch();
    apply(state, Command::ApplyPlan { based_on, moves: vec![step] })
}

/// Makes a coordinator of this build known.
pub(crate) fn register(state: &mut ClusterState, id: u64, in_region: &str) {
    register_at(state, id, in_region, FEATURE_LEVEL);
}

/// The same of another build.
pub(crate) fn register_at(state: &mut ClusterState, id: u64, in_region: &str, level: FeatureLevel) {
    let (grpc, raft) = (format!("{in_region}:{}", 100 + id), format!("{in_region}:{}", 200 + id));
    let coordinator = Coordinator { region: region(in_region), grpc, raft, level };
    let command = Command::RegisterCoordinator { id: CoordinatorId(id), coordinator };
    assert_eq!(apply(state, command), Outcome::Applied);
}

/// Records the heat of one node.
pub(crate) fn set_heat(state: &mut ClusterState, node: u64, duty: Duty, band: Band) -> Outcome {
    apply(state, Command::RecordHeat { changes: [(NodeId(node), Heat { duty, band })].into() })
}

pub(crate) fn set_health(state: &mut ClusterState, node: u64, health: NodeHealth) -> Outcome {
    let expected = state.nodes()[&NodeId(node)].health_since;
    apply(state, Command::SetNodeHealth { node: NodeId(node), health, expected })
}

pub(crate) fn any_model_name() -> impl Strategy<Value = String> {
    (0..3_u8).prop_map(|n| format!("model-{n}"))
}

fn any_region() -> impl Strategy<Value = Region> {
    (0..3_u8).prop_map(|n| region(&format!("region-{n}")))
}

fn any_address() -> impl Strategy<Value = String> {
    prop_oneof![9 => (1..60_000_u16).prop_map(|port| format!("host:{port}")), 1 => Just("nowhere".to_owned())]
}

fn any_health() -> impl Strategy<Value = NodeHealth> {
    prop_oneof![Just(NodeHealth::Live), Just(NodeHealth::Lost)]
}

fn any_parts() -> impl Strategy<Value = Vec<Part>> {
    let gap = prop_oneof![4 => Just(0), 1 => Just(1)];
    let split = (1..=FEW, 1..=FEW, 0..6_u32, gap).prop_map(|(first, second, at, gap)| {
        vec![
            Part { node: NodeId(first), layers: LayerRange { first: 0, end: at } },
            Part { node: NodeId(second), layers: LayerRange { first: at + gap, end: 4 } },
        ]
    });
    prop_oneof![2 => (0..=FEW).prop_map(whole), 1 => split]
}

fn any_fence() -> impl Strategy<Value = Fence> {
    (1..2 * FEW, 1..4_u64).prop_map(|(replica, generation)| Fence {
        replica: ReplicaId(replica),
        generation: Generation(generation),
    })
}

fn any_move() -> impl Strategy<Value = Move> {
    let reason = MoveReason::BelowTarget { target: 1 };
    prop_oneof![
        3 => (any_model_name(), any_parts()).prop_map(|(name, parts)| place(&name, parts)),
        1 => any_fence().prop_map(move |fence| Move::RemoveReplica { fence, reason }),
        2 => (any_fence(), any_parts()).prop_map(move |(fence, parts)| Move::MoveReplica { fence, parts, reason }),
    ]
}

fn any_tenant() -> impl Strategy<Value = TenantId> {
    (0..3_u8).prop_map(|n| tenant(&format!("tenant-{n}")))
}

fn any_key_id() -> impl Strategy<Value = KeyId> {
    (0..4_u8).prop_map(|n| KeyId::new(format!("key-{n}")).unwrap())
}

fn any_region_health() -> impl Strategy<Value = RegionHealth> {
    prop_oneof![Just(RegionHealth::Live), Just(RegionHealth::Lost)]
}

fn any_features() -> impl Strategy<Value = BTreeSet<DeviceFeature>> {
    prop::collection::btree_set(
        prop_oneof!["bf16", "fp8"].prop_map(|name| DeviceFeature::new(name).unwrap()),
        0..3,
    )
}

pub(crate) fn any_heat() -> impl Strategy<Value = Heat> {
    let duties = vec![Duty::Full, Duty::Probation, Duty::NoNewShards, Duty::Drain, Duty::Quarantine];
    let bands = vec![Band::Cool, Band::Warm, Band::Hot, Band::Critical];
    (prop::sample::select(duties), prop::sample::select(bands)).prop_map(|(duty, band)| Heat { duty, band })
}

/// Any command, most of them near enough to fit.
pub(crate) fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        1 => Just(bootstrap()),
        1 => (0..3_u64, any_region(), any_address()).prop_map(|(id, region, grpc)| Command::RegisterCoordinator {
            id: CoordinatorId(id),
            coordinator: Coordinator { region, raft: grpc.clone(), grpc, level: FEATURE_LEVEL },
        }),
        4 => (0..FEW, any_region(), any_address(), 0..40_u64).prop_map(|(uuid, region, advertise, memory)| {
            Command::JoinNode {
                uuid: NodeUuid(u128::from(uuid)),
                region,
                advertise,
                capacity: Capacity { boards: 1, memory: Bytes(memory) },
            }
        }),
        2 => (0..=FEW, any_health(), 0..60_u64).prop_map(|(node, health, expected)| Command::SetNodeHealth {
            node: NodeId(node),
            health,
            expected: Epoch(expected),
        }),
        3 => (any_model_name(), 0..20_u64, 0..5_u32)
            .prop_map(|(name, memory, replicas)| Command::AddModel { spec: spec(&name, memory, replicas) }),
        1 => (any_model_name(), 0..6_u32).prop_map(|(name, replicas)| Command::ScaleModel {
            model: model(&name),
            version: "1".to_owned(),
            replicas,
        }),
        1 => any_model_name()
            .prop_map(|name| Command::RemoveModel { model: model(&name), version: "1".to_owned() }),
        3 => (any_tenant(), prop::option::of(0..60_u64), "[a-z]{0,3}").prop_map(|(tenant, expected, display_name)| {
            Command::PutTenant { tenant, display_name, expected: expected.map(Epoch) }
        }),
        1 => any_tenant().prop_map(|tenant| Command::RemoveTenant { tenant }),
        2 => (any_key_id(), any_tenant(), 0..3_u8).prop_map(|(id, tenant, secret)| Command::PutKey {
            id,
            key: Key { tenant, digest: KeyDigest([secret; 32]), expires: None },
        }),
        1 => any_key_id().prop_map(|id| Command::RemoveKey { id }),
        1 => Just(Command::OpenSession),
        1 => (any_model_name(), 0..20_u64, 0..5_u32, any_features()).prop_map(|(name, memory, replicas, features)| {
            let requires = Requirements { features, ..Requirements::default() };
            Command::AddModelRequiring { spec: ModelSpec { requires, ..spec(&name, memory, replicas) } }
        }),
        1 => (1..=FEW, any_features()).prop_map(|(node, features)| Command::DescribeBoards {
            node: NodeId(node),
            boards: [BoardTraits { kind: DeviceKind::Simulated, features }].into(),
        }),
        3 => (1..=FEW, any_heat()).prop_map(|(node, heat)| Command::RecordHeat {
            changes: [(NodeId(node), heat)].into(),
        }),
        1 => (any_region(), any_region_health(), 0..60_u64).prop_map(|(region, health, expected)| {
            Command::SetRegionHealth { region, health, expected: Epoch(expected) }
        }),
        1 => (0..4_u64, any_region(), any_address(), any::<bool>()).prop_map(|(id, region, grpc, observes)| {
            Command::AdmitCoordinator {
                id: CoordinatorId(id),
                coordinator: Coordinator { region, raft: grpc.clone(), grpc, level: FEATURE_LEVEL },
                voting: if observes { Voting::Observer } else { Voting::Voter },
            }
        }),
        1 => (0..4_u64).prop_map(|id| Command::RemoveCoordinator { id: CoordinatorId(id) }),
        1 => prop::collection::vec(any_region(), 0..4).prop_map(|regions| Command::SetLeaderRegions { regions }),
        6 => (0..200_u64, prop::collection::vec(any_move(), 0..3))
            .prop_map(|(based_on, moves)| Command::ApplyPlan { based_on: Epoch(based_on), moves }),
    ]
}

/// A log of commands that begins with the bootstrap.
pub(crate) fn any_log(longest: usize) -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(any_command(), 0..longest).prop_map(|mut log| {
        log.insert(0, bootstrap());
        log
    })
}

/// The command as a proposer with current knowledge would send it: `expected` fits, `based_on` most of the time.
pub(crate) fn fitted(state: &ClusterState, command: Command) -> Command {
    match command {
        Command::ApplyPlan { based_on, moves } if based_on.0 % 4 > 0 => {
            Command::ApplyPlan { based_on: state.epoch(), moves }
        }
        Command::SetNodeHealth { node, health, expected } => {
            let since = state.nodes().get(&node).map_or(expected, |known| known.health_since);
            Command::SetNodeHealth { node, health, expected: since }
        }
        Command::PutTenant { tenant, display_name, expected: Some(expected) } if expected.0 % 4 > 0 => {
            let found = state.tenants().get(&tenant).map_or(Epoch(0), |known| known.revision);
            Command::PutTenant { tenant, display_name, expected: Some(found) }
        }
        Command::SetRegionHealth { region, health, .. } => {
            let expected = state.region(&region).since;
            Command::SetRegionHealth { region, health, expected }
        }
        other => other,
    }
}
