//! Bytes that nobody wrote: whatever they are, decoding refuses them or gives a value, and what was decoded is applied
//! without a panic, alike on every replica.

use helixflow_model::{ClusterId, Incarnation, NodeId, Region, TenantId, UnixMillis};
use helixflow_policy::check::check;
use helixflow_policy::state::{Capacity, ClusterState, Command, NodeUuid, Proposal};
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::vote::RaftLeaderId;
use proptest::prelude::*;
use proptest::sample::Index;

use super::version_1;
use crate::raft::codec::{Record, decode, encode};
use crate::raft::record::{
    AppendMessage, ChangeMessage, EntryRecord, ProposeMessage, ProposeReply, SnapshotHeader, SnapshotRecord,
    StateRecord, VoteMessage,
};
use crate::raft::types::{Entry, LeaderId, LogId, Payload};

/// Random inputs, in `make test` and with `HELIXFLOW_FULL_COUNTS`.
const INPUTS: (u32, u32) = (512, 200_000);

fn cases() -> ProptestConfig {
    let full = std::env::var_os("HELIXFLOW_FULL_COUNTS").is_some_and(|value| value == "1");
    ProptestConfig::with_cases(if full { INPUTS.1 } else { INPUTS.0 })
}

fn entry(index: u64, command: Command) -> Entry {
    let proposal = Proposal { stamp: UnixMillis(index), write: None, command };
    let leader = LeaderId::new(1, helixflow_model::CoordinatorId(1));
    Entry::new(LogId::new(leader, index), Payload::Normal(proposal))
}

/// Commands of many kinds.
fn commands() -> Vec<Command> {
    let name = |text: &str| Region::new(text).expect("a valid name");
    let tenant = TenantId::new("acme").expect("a valid name");
    vec![
        Command::Bootstrap { cluster: ClusterId::new("a").expect("a name"), incarnation: Incarnation(1) },
        Command::JoinNode {
            uuid: NodeUuid(7),
            region: name("eu"),
            advertise: "h:1".to_owned(),
            capacity: Capacity::default(),
        },
        Command::OpenSession,
        Command::PutTenant { tenant, display_name: "Acme".to_owned(), expected: None },
    ]
}

/// Entries of this version and of the first.
fn written_entries() -> Vec<Vec<u8>> {
    let ours = commands().into_iter().zip(1..).map(|(command, index)| entry(index, command));
    let ours = ours.map(|entry| encode(&EntryRecord::from(entry)).expect("a small record"));
    ours.chain(version_1::lines("entry")).collect()
}

/// A state of this version, and the snapshot of the first, without its sum.
fn written_states() -> Vec<Vec<u8>> {
    let mut state = ClusterState::default();
    for (command, index) in commands().into_iter().zip(1..) {
        state.apply(index, command);
    }
    let first = version_1::lines("snapshot").next().expect("a snapshot");
    let (record, _sum) = first.split_last_chunk::<4>().expect("a sum");
    let SnapshotRecord { state: old, .. } = decode(record).expect("version 1");
    vec![encode(&StateRecord(state)).expect("a small record"), old]
}

/// One of these, with some of its bytes changed, and perhaps cut short.
fn damaged(written: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<Index>(), any::<u8>()), 0..4);
    (prop::sample::select(written), changes, prop::option::of(any::<Index>())).prop_map(
        |(mut bytes, changes, cut)| {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        },
    )
}

/// Applies to two replicas with the same state and compares them.
fn apply_everywhere(state: &ClusterState, entry: EntryRecord) {
    let Ok(Entry { payload: EntryPayload::Normal(proposal), .. }) = Entry::try_from(entry) else { return };
    let (mut one, mut other) = (state.clone(), state.clone());
    let index = state.epoch().0.saturating_add(1);
    assert_eq!(one.apply(index, proposal.clone()), other.apply(index, proposal));
    assert_eq!(one, other);
    check(&one);
}

fn read_as<T: Record>(bytes: &[u8]) {
    if let Ok(record) = decode::<T>(bytes) {
        encode(&record).expect("what was decoded encodes");
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn arbitrary_bytes_are_refused_or_read(
        version in 0..4_u8, body in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let bytes = [&[version][..], &body].concat();
        read_as::<EntryRecord>(&bytes);
        read_as::<StateRecord>(&bytes);
        read_as::<SnapshotRecord>(&bytes);
        read_as::<SnapshotHeader>(&bytes);
        read_as::<AppendMessage>(&bytes);
        read_as::<ProposeMessage>(&bytes);
        read_as::<ProposeReply>(&bytes);
        read_as::<ChangeMessage>(&bytes);
        read_as::<VoteMessage>(&bytes);
    }

    #[test]
    fn a_damaged_entry_is_refused_or_applied_alike(bytes in damaged(written_entries())) {
        let StateRecord(state) = decode(&written_states()[0]).expect("a state");
        if let Ok(entry) = decode::<EntryRecord>(&bytes) {
            apply_everywhere(&state, entry);
        }
    }

    #[test]
    fn on_a_damaged_state_that_still_decodes_nothing_panics(bytes in damaged(written_states())) {
        let Ok(StateRecord(state)) = decode::<StateRecord>(&bytes) else { return Ok(()) };
        check(&state);
        state.assignments(NodeId(1));
        for bytes in written_entries() {
            apply_everywhere(&state, decode(&bytes).expect("an entry"));
        }
    }
}
