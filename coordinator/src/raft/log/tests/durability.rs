//! What the segments keep, what they take for a torn end, and what they refuse.

use helixflow_env::disk::DiskFaults;
use helixflow_model::CoordinatorId;

use super::*;
use crate::raft::log::{Contents, LogStore};
use crate::raft::types::Vote;

fn indexes(contents: &Contents) -> Vec<u64> {
    contents.entries.keys().copied().collect()
}

/// How much of the first segment was ever written.
fn written(disk: &MemoryDisk) -> u64 {
    let bytes = disk.read(&segments(disk)[0]).expect("a segment");
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

async fn reopened(disk: &MemoryDisk) -> Contents {
    open(disk).await.expect("the same log").load().expect("its contents")
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_crash() {
    let disk = MemoryDisk::default();
    let vote = Vote::new(3, CoordinatorId(2)).into();
    let mut log = open(&disk).await.expect("a new log");
    let number = log.disk();
    log.commit(&[Write::Vote(vote), entries(0..6)]).await.expect("a commit");
    log.commit(&[Write::TruncateAfter(Some(4)), Write::Purge(at(1))]).await.expect("a commit");
    log.commit(&[Write::Committed(Some(at(3)))]).await.expect("a commit");
    disk.crash(&SeededRandom::new(5));
    let mut log = open(&disk).await.expect("the same log");
    let contents = log.load().expect("its contents");
    assert_eq!(contents.marks.vote, Some(vote));
    assert_eq!(contents.marks.purged, Some(at(1)));
    assert_eq!(contents.marks.committed, Some(at(3)));
    assert_eq!(indexes(&contents), [2, 3, 4]);
    assert_eq!(log.disk(), number);
}

#[tokio::test]
async fn what_a_failed_sync_left_readable_is_durable_once_the_log_is_open_again() {
    let disk = MemoryDisk::default();
    let mut log = open(&disk).await.expect("a new log");
    log.commit(&[entries(0..1)]).await.expect("a commit");
    disk.set_faults(DiskFaults { failing: true, ..DiskFaults::default() });
    // Over several sectors: a later sync must not take it along with what it writes beside it.
    assert!(log.commit(&[entries(1..40)]).await.is_err());
    assert!(open(&disk).await.is_err());
    disk.set_faults(DiskFaults::default());
    let mut log = open(&disk).await.expect("the same log");
    assert_eq!(indexes(&log.load().expect("its contents")), (0..40).collect::<Vec<_>>());
    log.commit(&[entries(40..41)]).await.expect("a commit");
    disk.crash(&SeededRandom::new(5));
    assert_eq!(indexes(&reopened(&disk).await), (0..41).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_truncation_without_an_index_empties_the_log() {
    let disk = MemoryDisk::default();
    let mut log = open(&disk).await.expect("a new log");
    log.commit(&[entries(0..3), Write::TruncateAfter(None)]).await.expect("a commit");
    assert_eq!(indexes(&reopened(&disk).await), Vec::<u64>::new());
}

#[tokio::test]
async fn segments_go_once_their_entries_are_purged_and_the_marks_stay() {
    let disk = MemoryDisk::default();
    let vote = Vote::new(3, CoordinatorId(2)).into();
    let mut log = open(&disk).await.expect("a new log");
    log.commit(&[Write::Vote(vote)]).await.expect("a commit");
    for index in 0..4000 {
        log.commit(&[entries(index..index + 1)]).await.expect("a commit");
        if index % 100 == 99 {
            log.commit(&[Write::Purge(at(index - 50))]).await.expect("a purge");
        }
    }
    let kept = segments(&disk).len();
    assert!(kept <= 4, "{kept} segments for fifty entries");
    let contents = reopened(&disk).await;
    assert_eq!(contents.marks.vote, Some(vote), "it was written in a segment that is gone");
    assert_eq!(indexes(&contents), (3950..4000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_larger_than_a_segment_is_kept() {
    let disk = MemoryDisk::default();
    let mut log = open(&disk).await.expect("a new log");
    log.commit(&[entries(0..2000)]).await.expect("a commit");
    log.commit(&[entries(2000..2001)]).await.expect("a commit");
    assert_eq!(reopened(&disk).await.entries.len(), 2001);
}

#[tokio::test]
async fn a_torn_end_is_dropped_and_written_over() {
    let disk = MemoryDisk::default();
    let mut log = open(&disk).await.expect("a new log");
    log.commit(&[entries(0..3)]).await.expect("a commit");
    let end = written(&disk);
    log.commit(&[entries(3..9)]).await.expect("a commit");
    disk.rot(&segments(&disk)[0], end + 30, 0xff).expect("damage in the last batch");
    let mut log = open(&disk).await.expect("a torn end");
    assert_eq!(indexes(&log.load().expect("its contents")), [0, 1, 2]);
    log.commit(&[entries(3..4)]).await.expect("a commit over it");
    assert_eq!(indexes(&reopened(&disk).await), [0, 1, 2, 3]);
}

#[tokio::test]
async fn damage_before_a_later_batch_is_refused() {
    let disk = MemoryDisk::default();
    let mut log = open(&disk).await.expect("a new log");
    log.commit(&[entries(0..3)]).await.expect("a commit");
    let end = written(&disk);
    log.commit(&[entries(3..9)]).await.expect("a commit");
    log.commit(&[entries(9..12)]).await.expect("a commit");
    disk.rot(&segments(&disk)[0], end + 30, 0xff).expect("damage in the middle");
    let refused = open(&disk).await.map(|_| ());
    assert!(matches!(refused, Err(OpenLogError::Damaged { .. })), "{refused:?}");
}

#[tokio::test]
async fn damage_in_an_older_segment_or_in_a_header_is_refused() {
    for offset in [30, 4096 + 3, 6000] {
        let disk = MemoryDisk::default();
        let mut log = open(&disk).await.expect("a new log");
        for index in 0..400 {
            log.commit(&[entries(index..index + 1)]).await.expect("a commit");
        }
        let segments = segments(&disk);
        assert!(segments.len() > 1);
        disk.rot(&segments[0], offset, 1).expect("damage");
        let refused = open(&disk).await.map(|_| ());
        assert!(matches!(refused, Err(OpenLogError::Damaged { .. })), "at {offset}: {refused:?}");
    }
}

#[tokio::test]
async fn a_missing_segment_is_noticed() {
    let disk = MemoryDisk::default();
    let mut log = open(&disk).await.expect("a new log");
    for index in 0..400 {
        log.commit(&[entries(index..index + 1)]).await.expect("a commit");
    }
    let segments = segments(&disk);
    assert!(segments.len() > 2);
    disk.remove_file(&segments[1]).expect("a removal");
    let refused = open(&disk).await.map(|_| ());
    assert!(matches!(refused, Err(OpenLogError::Damaged { .. })), "{refused:?}");
}

#[tokio::test]
async fn another_owner_and_another_format_are_refused() {
    let disk = MemoryDisk::default();
    open(&disk).await.expect("a new log");
    let other = Place { owner: "coordinator-2 of cluster alpha".to_owned(), ..place(&disk, 1) };
    let refused = SegmentedLog::open(other, Handle::current()).await.map(|_| ());
    assert!(matches!(refused, Err(OpenLogError::Owner { .. })), "{refused:?}");
    disk.rot(&segments(&disk)[0], 8, 3).expect("another format");
    let refused = open(&disk).await.map(|_| ()).map_err(|error| error.to_string());
    assert!(refused.is_err_and(|text| text.contains("has format 2, this build reads 1")));
}

#[tokio::test]
async fn a_failed_sync_is_an_error_and_loses_nothing_older() {
    let disk = MemoryDisk::default();
    let mut log = open(&disk).await.expect("a new log");
    log.commit(&[entries(0..3)]).await.expect("a commit");
    disk.set_faults(DiskFaults { failing: true, ..DiskFaults::default() });
    assert!(log.commit(&[entries(3..4)]).await.is_err());
    disk.set_faults(DiskFaults::default());
    disk.crash(&SeededRandom::new(1));
    assert_eq!(indexes(&reopened(&disk).await), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_takes_what_fits_the_reserve_and_the_rest_waits_for_room() {
    let disk = MemoryDisk::default();
    let mut log = open(&disk).await.expect("a new log");
    while !disk.exists("/log/spare".as_ref()) {
        tokio::task::yield_now().await;
    }
    disk.set_faults(DiskFaults { full: true, ..DiskFaults::default() });
    let mut index = 0;
    while segments(&disk).len() < 2 {
        log.commit(&[entries(index..index + 1)]).await.expect("room in the reserve");
        index += 1;
    }
    let more = async {
        for index in index..index + 400 {
            log.commit(&[entries(index..index + 1)]).await.expect("room in the end");
        }
    };
    let room = async {
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        disk.set_faults(DiskFaults::default());
    };
    tokio::join!(more, room);
    assert_eq!(reopened(&disk).await.entries.len() as u64, index + 400);
}
