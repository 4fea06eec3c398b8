//! Random writes with crashes, the same to the segments and to their oracle: the same contents, always.
//!
//! A batch that a crash cut short may be there or not, but only as a whole.

use std::ops::Range;
use std::time::Duration;

use futures::FutureExt;
use helixflow_env::Randomness;
use helixflow_env::disk::DiskFaults;
use helixflow_model::CoordinatorId;

use super::*;
use crate::raft::log::redb::RedbStore;
use crate::raft::log::{Contents, LogStore};
use crate::raft::types::Vote;

/// Operations in one run of the tests, over all seeds.
const OPERATIONS: u64 = 120_000;
const SEEDS: u64 = 12;
/// Operations in one batch, at most.
const BATCH: u64 = 6;
/// One batch in so many is cut by a crash.
const CRASH_ONE_IN: u64 = 40;

struct Run {
    random: SeededRandom,
    disk: MemoryDisk,
    log: SegmentedLog,
    oracle: RedbStore,
    /// What the oracle is still to be told: it is slow, and asked at crashes only.
    untold: Vec<Write>,
    /// What it then holds, so that operations fit it.
    expected: Contents,
    crashes: u64,
}

impl Run {
    async fn new(seed: u64) -> Self {
        let disk = MemoryDisk::default();
        let log = open(&disk).await.expect("a new log");
        let oracle = RedbStore::new().expect("an empty oracle");
        let (random, expected) = (SeededRandom::new(seed), Contents::default());
        Self { random, disk, log, oracle, untold: Vec::new(), expected, crashes: 0 }
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.next_u64() % bound.max(1)
    }

    /// A write that Raft could ask for, of a log whose entries have these indexes.
    fn operation(&self, held: &mut Range<u64>) -> Write {
        let Range { start: first, end: next } = *held;
        match self.below(16) {
            0 => Write::Vote(Vote::new(self.below(1 << 40), CoordinatorId(self.below(5))).into()),
            1 => Write::Committed(Some(at(self.below(next)))),
            2 if next > first => {
                held.end = next.saturating_sub(self.below(8)).max(first + 1);
                Write::TruncateAfter(Some(held.end - 1))
            }
            3 if first == 0 => {
                held.end = 0;
                Write::TruncateAfter(None)
            }
            3 | 4 if next > first => {
                held.start = first + 1 + self.below((next - first).min(60));
                Write::Purge(at(held.start - 1))
            }
            // A snapshot from afar.
            5 if self.below(20) == 0 => {
                let upto = next + self.below(30);
                *held = upto + 1..upto + 1;
                Write::Purge(at(upto))
            }
            _ => {
                held.end = next + 1 + self.below(4);
                entries(next..held.end)
            }
        }
    }

    fn batch(&self) -> Vec<Write> {
        let first = self.expected.marks.purged.map_or(0, |id| id.index + 1);
        let mut held = first..self.expected.last().map_or(0, |id| id.index + 1);
        (0..1 + self.below(BATCH)).map(|_| self.operation(&mut held)).collect()
    }

    fn agree(&mut self, batch: Vec<Write>) {
        for write in &batch {
            self.expected.replay(write).expect("a readable entry");
        }
        self.untold.extend(batch);
    }

    async fn step(&mut self) -> u64 {
        let batch = self.batch();
        let operations = batch.len() as u64;
        if self.below(CRASH_ONE_IN) != 0 {
            self.log.commit(&batch).await.expect("a commit");
            self.agree(batch);
        } else {
            self.crash_within(batch).await;
        }
        operations
    }

    /// Cuts the power while the batch, or the roll before it, is being synced.
    async fn crash_within(&mut self, batch: Vec<Write>) {
        self.disk.set_faults(DiskFaults { sync_delay: Duration::from_secs(1), ..DiskFaults::default() });
        let cut = self.log.commit(&batch).now_or_never();
        assert!(cut.is_none(), "a sync takes a second");
        self.disk.set_faults(DiskFaults::default());
        self.disk.crash(&self.random);
        self.crashes += 1;
        self.log = open(&self.disk).await.expect("a torn end at most");
        let found = self.log.load().expect("its contents");
        if found != self.expected {
            self.agree(batch);
        }
        assert_eq!(found, self.expected, "neither without the batch nor with all of it");
        self.oracle.commit(&std::mem::take(&mut self.untold)).await.expect("an oracle's commit");
        assert_eq!(self.oracle.load().expect("its contents"), self.expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_segments_hold_what_their_oracle_holds_through_crashes() {
    let (mut operations, mut crashes) = (0, 0);
    for seed in 0..SEEDS {
        let mut run = Run::new(seed).await;
        let mut done = 0;
        while done < OPERATIONS / SEEDS {
            done += run.step().await;
        }
        operations += done;
        crashes += run.crashes;
    }
    println!("{operations} operations, {crashes} crashes, {SEEDS} seeds: no difference");
    assert!(operations >= OPERATIONS && crashes > 100);
}
