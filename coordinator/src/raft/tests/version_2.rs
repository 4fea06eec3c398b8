//! What the second version wrote is still read: its log and its snapshot give one state. Its entries are the newest ones,
//! too: they are written again as they were.

use helixflow_env::Env;
use helixflow_model::{CoordinatorId, Epoch, ModelId, NodeId, Region, ReplicaId, SessionId, TenantId};
use helixflow_policy::check::check;
use helixflow_policy::state::{ClusterState, HeatRecord, NodeHealth, RegionHealth};
use openraft::EntryPayload;
use tokio::runtime::Handle as Runtime;

use super::version_1::lines_of;
use crate::raft::codec::{decode, encode};
use crate::raft::record::{EntryRecord, StateRecord};
use crate::raft::snapshot::Snapshots;
use crate::raft::types::Entry;

const WRITTEN: &str = include_str!("version_2.txt");

fn entries() -> Vec<Entry> {
    let entry = |bytes: Vec<u8>| {
        let record: EntryRecord = decode(&bytes).expect("an entry of version 2");
        assert_eq!(encode(&record).expect("a small record"), bytes, "an older build could not read it");
        record.try_into().expect("a membership that can be")
    };
    lines_of(WRITTEN, "entry").map(entry).collect()
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
async fn a_snapshot_of_version_2_gives_the_state_that_its_log_gives() {
    let env = Env::simulated(1);
    let file = lines_of(WRITTEN, "snapshot").next().expect("a snapshot");
    env.disk.write_durably("/snapshot".as_ref(), &file).expect("a write");
    let snapshots = Snapshots::open(env.disk, "/snapshot".into(), Runtime::current()).expect("version 2");
    let snapshot = snapshots.current().expect("the one that was written");
    let StateRecord(state) = decode(&snapshot.data).expect("a state of version 2");
    assert_eq!(state, from_the_log());
    assert_eq!(snapshot.meta.last_log_id, entries().last().map(|entry| entry.log_id));
    assert_eq!(check(&state), []);
}

#[test]
fn a_log_of_version_2_says_what_it_said() {
    let state = from_the_log();
    assert_eq!(entries().len(), 25);
    assert_eq!((state.epoch(), state.changed()), (Epoch(25), Epoch(24)));
    assert_eq!(state.observers().iter().copied().collect::<Vec<_>>(), [CoordinatorId(3)]);
    assert_eq!(state.next_coordinator(), CoordinatorId(5));
    assert_eq!(state.leader_regions().len(), 2);
    assert_eq!(state.nodes()[&NodeId(2)].health, NodeHealth::Lost);
    assert!(state.nodes().values().all(|node| node.heat == HeatRecord::default() && node.boards.is_empty()));
    let model = ModelId::new("m").expect("a valid name");
    let spec = state.versions_of(&model).next().expect("a model");
    assert_eq!((spec.replicas, spec.requires.is_empty(), spec.sources.len()), (3, true, 2));
    assert_eq!(state.replicas()[&ReplicaId(2)].head(), Some(NodeId(3)));
    let tenant = TenantId::new("t").expect("a valid name");
    assert_eq!(state.tenants()[&tenant].display_name, "Tea");
    assert_eq!((state.tenants().len(), state.keys().len()), (1, 1));
    assert_eq!(state.region(&Region::new("us-1").expect("a valid name")).health, RegionHealth::Lost);
    assert!(state.has_session(SessionId(11)));
}
