//! The log's file: it holds what was written, and refuses what it cannot trust.

use helixflow_model::CoordinatorId;
use openraft::EntryPayload;
use openraft::vote::RaftLeaderId;

use super::*;
use crate::raft::record::LogIdRecord;
use crate::raft::types::{Entry, LeaderId, LogId, Vote};

const OWNER_NAME: &str = "coordinator-1 of cluster alpha";

fn open(folder: &tempfile::TempDir) -> Result<RedbStore, OpenLogError> {
    RedbStore::open(&folder.path().join("log"), OWNER_NAME, || DiskId(7))
}

fn at(index: u64) -> LogIdRecord {
    LogId::new(LeaderId::new(1, CoordinatorId(1)), index).into()
}

fn entries(indexes: std::ops::Range<u64>) -> Write {
    let entry = |index: u64| {
        let record = EntryRecord::from(Entry { log_id: at(index).into(), payload: EntryPayload::Blank });
        (index, encode(&record).expect("a small record"))
    };
    Write::Entries(indexes.map(entry).collect())
}

fn indexes(contents: &Contents) -> Vec<u64> {
    contents.entries.keys().copied().collect()
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let vote = Vote::new(3, CoordinatorId(2)).into();
    {
        let mut store = open(&folder).expect("a new log");
        store.commit(&[Write::Vote(vote), entries(0..6)]).expect("a commit");
        store.commit(&[Write::TruncateAfter(Some(4)), Write::Purge(at(1))]).expect("a commit");
        store.commit(&[Write::Committed(Some(at(3)))]).expect("a commit");
    }
    let store = open(&folder).expect("the same log");
    let contents = store.load().expect("its contents");
    assert_eq!(contents.vote, Some(vote));
    assert_eq!(contents.purged, Some(at(1)));
    assert_eq!(contents.committed, Some(at(3)));
    assert_eq!(indexes(&contents), [2, 3, 4]);
    assert_eq!(store.disk(), DiskId(7));
}

#[test]
fn a_truncation_without_an_index_empties_the_log() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut store = open(&folder).expect("a new log");
    store.commit(&[entries(0..3), Write::TruncateAfter(None)]).expect("a commit");
    assert_eq!(indexes(&store.load().expect("its contents")), Vec::<u64>::new());
}

#[test]
fn another_process_another_owner_and_another_format_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(&folder).expect("a new log");
    assert!(matches!(open(&folder), Err(OpenLogError::InUse { .. })));
    let transaction = store.database.begin_write().expect("a transaction");
    {
        let mut marks = transaction.open_table(MARKS).expect("the marks");
        marks.insert(FORMAT_MARK, 2u32.to_le_bytes().as_slice()).expect("a mark");
    }
    transaction.commit().expect("a commit");
    drop(store);
    let refused = open(&folder).map(|_| ()).map_err(|e| e.to_string());
    assert!(
        matches!(&refused, Err(text) if text.contains("has format 2, this build reads 1")),
        "{refused:?}"
    );
    let other = RedbStore::open(&folder.path().join("other"), OWNER_NAME, || DiskId(8)).map(|_| ());
    assert!(other.is_ok());
    let owner = RedbStore::open(&folder.path().join("other"), "coordinator-2 of cluster alpha", || DiskId(9));
    assert!(matches!(owner, Err(OpenLogError::Owner { .. })));
}

#[test]
fn an_entry_of_another_version_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut store = open(&folder).expect("a new log");
    store.commit(&[Write::Entries(vec![(0, vec![99, 0])])]).expect("a commit");
    let refused = store.load().expect_err("an unknown version");
    let source = std::error::Error::source(&refused).map(ToString::to_string);
    assert!(source.is_some_and(|text| text.contains("a log entry of format 99")), "{refused}");
}
