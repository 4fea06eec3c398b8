//! What the first version wrote is still read: its log and its snapshot give one state.

use helixflow_env::Env;
use helixflow_model::{CoordinatorId, Epoch, Generation, NodeId, ReplicaId};
use helixflow_policy::check::check;
use helixflow_policy::state::{ClusterState, NodeHealth};
use openraft::EntryPayload;
use tokio::runtime::Handle as Runtime;

use crate::raft::codec::decode;
use crate::raft::record::{EntryRecord, StateRecord};
use crate::raft::snapshot::Snapshots;
use crate::raft::types::Entry;

const WRITTEN: &str = include_str!("version_1.txt");

pub(super) fn lines(kind: &str) -> impl Iterator<Item = Vec<u8>> {
    lines_of(WRITTEN, kind)
}

/// The bytes of each line of a kind.
pub(super) fn lines_of(written: &'static str, kind: &str) -> impl Iterator<Item = Vec<u8>> {
    let digits = |line: &'static str| line.split_once(' ').expect("a kind and digits");
    let of_kind = written.lines().map(digits).filter(move |(found, _)| *found == kind);
    of_kind.map(|(_, digits)| {
        let pairs = digits.as_bytes().chunks_exact(2).map(|pair| str::from_utf8(pair).expect("ASCII"));
        pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
    })
}

fn entries() -> Vec<Entry> {
    let entry = |bytes: Vec<u8>| {
        let record: EntryRecord = decode(&bytes).expect("an entry of version 1");
        record.try_into().expect("a membership that can be")
    };
    lines("entry").map(entry).collect()
}

fn from_the_log() -> ClusterState {
    let mut state = ClusterState::default();
    for entry in entries() {
        if let EntryPayload::Normal(proposal) = entry.payload {
            state.apply(entry.log_id.index, proposal);
        }
    }
    state
}

#[tokio::test]
async fn a_snapshot_of_version_1_gives_the_state_that_its_log_gives() {
    let env = Env::simulated(1);
    let file = lines("snapshot").next().expect("a snapshot");
    env.disk.write_durably("/snapshot".as_ref(), &file).expect("a write");
    let snapshots = Snapshots::open(env.disk, "/snapshot".into(), Runtime::current()).expect("version 1");
    let snapshot = snapshots.current().expect("the one that was written");
    let StateRecord(state) = decode(&snapshot.data).expect("a state of version 1");
    assert_eq!(state, from_the_log());
    assert_eq!(snapshot.meta.last_log_id, entries().last().map(|entry| entry.log_id));
    assert_eq!(check(&state), []);
}

#[test]
fn a_log_of_version_1_says_what_it_said() {
    let state = from_the_log();
    assert_eq!(entries().len(), 15);
    assert_eq!((state.epoch(), state.changed()), (Epoch(15), Epoch(15)));
    assert_eq!(state.coordinators()[&CoordinatorId(2)].raft, "127.0.0.1:7201");
    assert_eq!(state.nodes()[&NodeId(2)].health, NodeHealth::Lost);
    assert_eq!(state.models().values().map(|spec| spec.replicas).collect::<Vec<_>>(), [3]);
    assert_eq!(state.replicas().len(), 2);
    assert_eq!(state.replicas()[&ReplicaId(2)].generation, Generation(2));
    assert_eq!(state.replicas()[&ReplicaId(2)].head(), Some(NodeId(3)));
    let members = entries().into_iter().find_map(|entry| match entry.payload {
        EntryPayload::Membership(membership) => Some(membership),
        _ => None,
    });
    let members = members.expect("a membership");
    assert_eq!(members.voter_ids().count(), 2);
    assert_eq!(members.get_node(&CoordinatorId(3)).map(|m| m.raft.as_str()), Some("127.0.0.1:7301"));
}
