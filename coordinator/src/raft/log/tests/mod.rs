//! The log on a disk in memory: what it keeps through crashes, what it refuses, and that it equals its oracle.

mod differential;
mod durability;

use std::sync::Arc;

use helixflow_env::disk::MemoryDisk;
use helixflow_env::{Disk, SeededRandom};
use helixflow_model::CoordinatorId;
use openraft::EntryPayload;
use openraft::vote::RaftLeaderId;
use tokio::runtime::Handle;

use super::{OpenLogError, Place, SegmentedLog, Write};
use crate::raft::codec::encode;
use crate::raft::record::{EntryRecord, LogIdRecord};
use crate::raft::types::{Entry, LeaderId, LogId};

/// Small, so that a few batches fill a segment.
const SEGMENT_BYTES: usize = 8 << 10;

fn place(disk: &MemoryDisk, seed: u64) -> Place {
    Place {
        disk: Arc::new(disk.clone()),
        random: Arc::new(SeededRandom::new(seed)),
        folder: "/log".into(),
        owner: "coordinator-1 of cluster alpha".to_owned(),
        segment_bytes: SEGMENT_BYTES,
    }
}

async fn open(disk: &MemoryDisk) -> Result<SegmentedLog, OpenLogError> {
    SegmentedLog::open(place(disk, 1), Handle::current()).await
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

/// The segments in the folder, oldest first.
fn segments(disk: &MemoryDisk) -> Vec<std::path::PathBuf> {
    let files = disk.list("/log".as_ref()).expect("the folder");
    files.into_iter().filter(|path| path.extension().is_some()).collect()
}
