//! openraft's own suite over the log and the state machine, and what every replica has to share.

use std::collections::BTreeSet;
use std::sync::Arc;

use helixflow_env::{Env, SeededRandom};
use helixflow_model::{ClusterId, CoordinatorId, Incarnation, Region};
use helixflow_policy::state::{Capacity, Command, NodeUuid};
use openraft::StorageError;
use openraft::entry::RaftEntry;
use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::vote::RaftLeaderId;
use openraft_rt_tokio::TokioRuntime;
use tokio::runtime::Handle as Runtime;

use crate::raft::log::{LogStorage, Place, SEGMENT_BYTES, SegmentedLog};
use crate::raft::machine::Machine;
use crate::raft::record::EntryRecord;
use crate::raft::snapshot::Snapshots;
use crate::raft::types::{DiskId, Entry, LeaderId, LogId, Member, Membership, Payload, TypeConfig};

type Types = TypeConfig<TokioRuntime>;

struct OnDisk;

impl StoreBuilder<Types, LogStorage<TokioRuntime>, Machine, tempfile::TempDir> for OnDisk {
    async fn build(
        &self,
    ) -> Result<(tempfile::TempDir, LogStorage<TokioRuntime>, Machine), StorageError<Types>> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = Place {
            disk: Env::real().disk,
            random: Arc::new(SeededRandom::new(1)),
            folder: folder.path().join("log"),
            owner: "a test".to_owned(),
            segment_bytes: SEGMENT_BYTES,
        };
        let store = SegmentedLog::open(place, Runtime::current()).await.expect("a new log");
        let (storage, _) = LogStorage::start(store, &Runtime::current()).expect("an empty log");
        Ok((folder, storage, machine()))
    }
}

fn machine() -> Machine {
    let disk = Env::simulated(1).disk;
    Machine::new(Snapshots::open(disk, "/snapshot".into(), Runtime::current()).expect("no snapshot yet"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_passes_openrafts_suite() {
    Suite::test_all(OnDisk).await.expect("openraft's suite");
}

fn entry(index: u64, payload: Payload) -> Entry {
    Entry::new(LogId::new(LeaderId::new(1, CoordinatorId(1)), index), payload)
}

fn commands() -> Vec<Entry> {
    let bootstrap = Command::Bootstrap {
        cluster: ClusterId::new("alpha").expect("a valid name"),
        incarnation: Incarnation(1),
    };
    let join = |uuid| Command::JoinNode {
        uuid: NodeUuid(uuid),
        region: Region::new("eu-1").expect("a valid name"),
        advertise: "127.0.0.1:9".to_owned(),
        capacity: Capacity::default(),
    };
    let commands = [bootstrap, join(1), join(2), join(1)];
    commands.into_iter().zip(1..).map(|(c, index)| entry(index, Payload::Normal(c.into()))).collect()
}

async fn apply(machine: &mut Machine, entries: impl IntoIterator<Item = Entry, IntoIter: Send>) {
    let entries = entries.into_iter().map(|entry| Ok((entry, None)));
    RaftStateMachine::<Types>::apply(machine, futures::stream::iter(entries)).await.expect("an apply");
}

#[tokio::test]
async fn the_same_log_gives_the_same_state_in_one_batch_in_many_and_from_a_snapshot() {
    let (mut whole, mut single, mut installed) = (machine(), machine(), machine());
    apply(&mut whole, commands()).await;
    for entry in commands() {
        apply(&mut single, [entry]).await;
    }
    let mut builder = RaftStateMachine::<Types>::get_snapshot_builder(&mut whole).await;
    let snapshot = RaftSnapshotBuilder::<Types>::build_snapshot(&mut builder).await.expect("a snapshot");
    RaftStateMachine::<Types>::install_snapshot(&mut installed, &snapshot.meta, snapshot.snapshot)
        .await
        .expect("an installation");
    let states = [&whole, &single, &installed].map(|machine| Arc::clone(&machine.watch().borrow()));
    assert_eq!(states[0].nodes().len(), 2);
    assert!(states.iter().all(|state| state == &states[0]));
}

#[test]
fn every_kind_of_entry_survives_its_record() {
    let member = Member { raft: "127.0.0.1:7".to_owned(), disk: DiskId(5) };
    let voters = vec![BTreeSet::from([CoordinatorId(1)])];
    let nodes = std::collections::BTreeMap::from([(CoordinatorId(1), member)]);
    let membership = Membership::new(voters, nodes).expect("a membership");
    let more = [entry(8, Payload::Blank), entry(9, Payload::Membership(membership))];
    for entry in commands().into_iter().chain(more) {
        let bytes = crate::raft::codec::encode(&EntryRecord::from(entry.clone())).expect("a small record");
        let record: EntryRecord = crate::raft::codec::decode(&bytes).expect("a record");
        assert_eq!(Entry::try_from(record).ok(), Some(entry));
    }
}
