//! openraft's settings: what must not stay at its defaults, and why.

use openraft::{Config, ConfigError, SnapshotPolicy};

use super::log::SEGMENT_BYTES;
use crate::config::Timings;

/// How large the log may grow before it is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Bytes of one segment.
    pub(crate) segment_bytes: usize,
    /// Entries between two snapshots.
    pub(crate) snapshot_every: u64,
    /// Entries kept behind a snapshot, for followers that are a little late.
    pub(crate) keep_behind_snapshot: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { segment_bytes: SEGMENT_BYTES, snapshot_every: 5_000, keep_behind_snapshot: 2_000 }
    }
}

/// A follower that is this many times the entries between two snapshots behind gets a snapshot. More than once, or a
/// snapshot would not help it.
const SNAPSHOT_WHEN_BEHIND: u64 = 2;
/// Entries purged at once: each purge is a write of its own.
const PURGE_BATCH: u64 = 256;
/// The whole transfer of a snapshot and its installation; the transport has a deadline of progress besides.
const SNAPSHOT_TIMEOUT_MS: u64 = 60_000;
/// How long replication to an unreachable member rests: soon at first, for a member that only restarts.
const BACKOFF: &str = "20ms 40ms 80ms ...500ms";

/// The settings for these timings.
pub(crate) fn settings(cluster: &str, timings: &Timings, sizes: Sizes) -> Result<Config, ConfigError> {
    let millis = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    Config {
        cluster_name: cluster.to_owned(),
        heartbeat_interval: millis(timings.heartbeat),
        election_timeout_min: millis(timings.election_min),
        election_timeout_max: millis(timings.election_max),
        // Off by default: a member that was cut off would depose a healthy leader when it comes back.
        enable_pre_vote: Some(true),
        // Off by default: a leader that has lost its quorum would keep the others from electing another.
        quorum_loss_probe_interval: Some(millis(timings.election_max) * 2 + millis(timings.heartbeat)),
        // On by default: unsafe when, as here, the state is in memory and the commit mark is not synced.
        enable_leader_restore: Some(false),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(sizes.snapshot_every),
        replication_lag_threshold: sizes.snapshot_every * SNAPSHOT_WHEN_BEHIND,
        max_in_snapshot_log_to_keep: sizes.keep_behind_snapshot,
        purge_batch_size: PURGE_BATCH,
        install_snapshot_timeout: SNAPSHOT_TIMEOUT_MS,
        backoff: BACKOFF.to_owned(),
        ..Config::default()
    }
    .validate()
}
