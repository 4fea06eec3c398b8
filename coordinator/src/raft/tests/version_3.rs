//! What is written now, byte for byte: whoever changes it changes a log that others have, and needs a new version.

use std::collections::BTreeMap;

use helixflow_model::{
    Architecture, Band, BoardTraits, Bytes, ClusterId, CoordinatorId, DeviceFeature, DeviceKind, Duty, Epoch,
    FeatureLevel, Fence, Generation, Incarnation, LayerRange, ModelId, ModelSpec, NodeId, Region, ReplicaId,
    Requirements, UnixMillis,
};
use helixflow_policy::check::check;
use helixflow_policy::state::{
    Capacity, ClusterState, Command, Coordinator, Heat, Move, MoveReason, NodeUuid, Outcome, Part, Proposal,
};
use openraft::EntryPayload;
use openraft::vote::RaftLeaderId;

use super::version_1::lines_of;
use crate::raft::codec::{decode, encode};
use crate::raft::record::{EntryRecord, StateRecord};
use crate::raft::types::{Entry, LeaderId, LogId};

const WRITTEN: &str = include_str!("version_3.txt");

fn join(uuid: u128) -> Command {
    let capacity = Capacity { boards: 1, memory: Bytes(1000) };
    let region = Region::new("eu-1").expect("a valid name");
    Command::JoinNode { uuid: NodeUuid(uuid), region, advertise: "10.0.0.1:7000".to_owned(), capacity }
}

fn describe(node: u64) -> Command {
    let fp8 = DeviceFeature::new("fp8").expect("a valid name");
    let boards = [BoardTraits { kind: DeviceKind::Nvidia, features: [fp8].into() }].into();
    Command::DescribeBoards { node: NodeId(node), boards }
}

fn asking() -> ModelSpec {
    let fp8 = DeviceFeature::new("fp8").expect("a valid name");
    ModelSpec {
        id: ModelId::new("m").expect("a valid name"),
        version: "1".to_owned(),
        architecture: Architecture::Llama,
        layers: 4,
        context: 2048,
        memory: Bytes(300),
        sha256: "0123456789abcdef".repeat(4),
        size: Bytes(250),
        sources: Vec::new(),
        replicas: 1,
        requires: Requirements {
            vendors: [DeviceKind::Nvidia, DeviceKind::Amd].into(),
            features: [fp8].into(),
        },
    }
}

fn plan(based_on: u64, step: Move) -> Command {
    Command::ApplyPlan { based_on: Epoch(based_on), moves: vec![step] }
}

fn place(node: u64, reason: MoveReason) -> Move {
    let parts = vec![Part { node: NodeId(node), layers: LayerRange { first: 0, end: 4 } }];
    Move::PlaceReplica { model: asking().id, version: "1".to_owned(), parts, reason }
}

/// A log with all that came since version 2.
fn commands() -> Vec<Command> {
    let cluster = ClusterId::new("alpha").expect("a valid name");
    let coordinator = Coordinator {
        region: Region::new("eu-1").expect("a valid name"),
        grpc: "127.0.0.1:7100".to_owned(),
        raft: "127.0.0.1:7101".to_owned(),
        level: FeatureLevel(3),
    };
    let drains = MoveReason::BoardsDrain { node: NodeId(1) };
    let heat = BTreeMap::from([
        (NodeId(1), Heat { duty: Duty::Drain, band: Band::Critical }),
        (NodeId(2), Heat { duty: Duty::Full, band: Band::Warm }),
    ]);
    let fence = Fence { replica: ReplicaId(1), generation: Generation(1) };
    vec![
        Command::Bootstrap { cluster, incarnation: Incarnation(1) },
        Command::RegisterCoordinator { id: CoordinatorId(1), coordinator },
        join(1),
        join(2),
        describe(1),
        describe(2),
        Command::add(asking()),
        plan(7, place(1, MoveReason::BelowTarget { target: 1 })),
        Command::RecordHeat { changes: heat },
        plan(9, place(2, drains)),
        plan(10, Move::RemoveReplica { fence, reason: drains }),
    ]
}

fn proposal(index: u64, command: Command) -> Proposal {
    Proposal { stamp: UnixMillis(1000 + index), write: None, command }
}

fn bytes_of_entries() -> Vec<Vec<u8>> {
    let entry = |(index, command)| {
        let log_id = LogId::new(LeaderId::new(3, CoordinatorId(1)), index);
        let payload = EntryPayload::Normal(proposal(index, command));
        encode(&EntryRecord::from(Entry { log_id, payload })).expect("a small record")
    };
    (1..).zip(commands()).map(entry).collect()
}

fn state() -> ClusterState {
    let mut state = ClusterState::default();
    for (index, command) in (1..).zip(commands()) {
        let outcome = state.apply(index, proposal(index, command));
        assert!(!matches!(outcome, Outcome::Refused { .. } | Outcome::Unchanged), "{index}: {outcome:?}");
    }
    assert_eq!(check(&state), []);
    state
}

#[test]
fn entries_and_state_are_written_as_the_golden_bytes_say_and_read_again() {
    let entries = bytes_of_entries();
    let state_bytes = encode(&StateRecord(state())).expect("a small record");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines = entries.iter().map(|bytes| format!("entry {}\n", hex(bytes)));
    let now: String = lines.chain([format!("state {}\n", hex(&state_bytes))]).collect();
    assert_eq!(lines_of(WRITTEN, "entry").collect::<Vec<_>>(), entries, "written now:\n{now}");
    let golden = lines_of(WRITTEN, "state").next();
    assert_eq!(golden.as_ref(), Some(&state_bytes), "written now:\n{now}");
    let StateRecord(read) = decode(&state_bytes).expect("a state of version 3");
    assert_eq!(read, state());
    for (bytes, (index, command)) in entries.iter().zip((1..).zip(commands())) {
        let entry = Entry::try_from(decode::<EntryRecord>(bytes).expect("an entry")).expect("an entry");
        assert_eq!(entry.payload, EntryPayload::Normal(proposal(index, command)));
    }
}
