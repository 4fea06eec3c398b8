//! A new life of a cluster, made offline: a data directory whose log begins with a state from elsewhere and has one
//! member.
//!
//! The disk gets a new id, so that members of the earlier life, which may still run somewhere, are refused by it and
//! refuse it. A marker lies in the directory while it is half made: no coordinator starts over it, and the same command
//! goes on from there.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use helixflow_env::Env;
use helixflow_model::{ClusterId, CoordinatorId, Incarnation};
use helixflow_policy::state::{ClusterState, Coordinator};
use openraft::vote::RaftLeaderId;
use tokio::runtime::Handle as Runtime;

use super::backup::{Backup, BackupError};
use super::log::{LogStore, OpenLogError, SegmentedLog, Write};
use super::machine::Machine;
use super::settings::Sizes;
use super::snapshot::{Snapshot, SnapshotError, Snapshots};
use super::types::{
    DiskId, Entry, LeaderId, LogId, Member, Membership, SnapshotMeta, StoredMembership, Vote,
};
use super::{codec, place, record};

/// Lies in a data directory while it is half made.
pub(super) const MARKER: &str = "being-made";
/// What it is called once the directory is whole.
const MADE: &str = "made-from-backup";
/// What a survivor held, kept beside its log.
const KEPT: &str = "recovery.backup";
/// The term of the entry that the state counts as: the first election of the new life has a higher one.
const FIRST_TERM: u64 = 1;

/// Why no new life was begun.
#[derive(Debug, thiserror::Error)]
pub enum NewLifeError {
    /// A log or a snapshot is there.
    #[error("{path} has a log already: name an empty data_dir, or move this one away")]
    HasALog {
        /// The data directory.
        path: PathBuf,
    },
    /// Nothing is there that could be recovered.
    #[error("{path} has no log: recover a coordinator that was a member, or restore a backup")]
    NoLog {
        /// The data directory.
        path: PathBuf,
    },
    /// The backup is another cluster's.
    #[error(
        "the backup is of cluster {found}, the configuration names {wanted}: set cluster = \"{found}\" in it and in every node's"
    )]
    OtherCluster {
        /// What the backup says.
        found: ClusterId,
        /// What the configuration says.
        wanted: ClusterId,
    },
    /// The backup cannot be used.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] OpenLogError),
    /// The snapshot cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The log or the snapshot cannot be read or written.
    #[error("{path} cannot be read or written: check the disk, then give the same command again")]
    Disk {
        /// The data directory.
        path: PathBuf,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Who begins the new life, and where.
pub(crate) struct Seat {
    pub(crate) env: Env,
    pub(crate) cluster: ClusterId,
    pub(crate) id: CoordinatorId,
    pub(crate) about: Coordinator,
    pub(crate) data_dir: PathBuf,
}

/// What was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewLife {
    /// Its number.
    pub incarnation: Incarnation,
    /// The lowest id that a further coordinator may have.
    pub next: CoordinatorId,
}

/// What a survivor holds, before anything is changed.
#[derive(Clone, Debug)]
pub struct Survivor {
    /// Its state, with every entry of its log applied, known to be committed or not.
    pub backup: Backup,
    /// The voters that it knew of.
    pub voters: BTreeSet<CoordinatorId>,
    /// The last index of its log.
    pub last_index: u64,
    /// How many entries at its end were not known to be committed.
    pub uncertain: u64,
}

impl Seat {
    /// Makes the directory from a backup. One that has a log is refused, except where an earlier attempt was interrupted.
    pub(crate) async fn restore(&self, backup: Backup) -> Result<NewLife, NewLifeError> {
        if let Some((found, _)) = backup.identity()
            && *found != self.cluster
        {
            return Err(NewLifeError::OtherCluster { found: found.clone(), wanted: self.cluster.clone() });
        }
        if !self.is_half_made() && self.has_log()? {
            return Err(NewLifeError::HasALog { path: self.data_dir.clone() });
        }
        self.begin(backup, 1).await
    }

    /// Reads what a survivor holds. Nothing is changed.
    pub(crate) async fn survivor(&self) -> Result<Survivor, NewLifeError> {
        if self.is_half_made() {
            return self.kept();
        }
        if !self.has_log()? {
            return Err(NewLifeError::NoLog { path: self.data_dir.clone() });
        }
        let mut store = self.log().await?;
        let contents = store.load().map_err(|error| self.failed(error))?;
        let snapshots = self.snapshots()?;
        let committed = contents.marks.committed.map_or(0, |at| at.index);
        let entries = contents.entries.into_values().map(|(record, _)| Entry::try_from(record));
        let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|error| self.failed(error))?;
        let (state, membership, last) =
            Machine::replay(snapshots, entries).map_err(|error| self.failed(error))?;
        let last_index = last.map_or(0, |at| at.index);
        Ok(Survivor {
            backup: Backup {
                taken_unix_ms: self.env.wall_clock.now_unix_ms(),
                state: Arc::unwrap_or_clone(state),
            },
            voters: membership.voter_ids().collect(),
            last_index,
            uncertain: last_index.saturating_sub(committed),
        })
    }

    /// Makes the directory anew from what the survivor held. Its log is kept beside the new one, out of use.
    pub(crate) async fn recover(&self, survivor: Survivor) -> Result<NewLife, NewLifeError> {
        let Survivor { backup, last_index, .. } = survivor;
        if !self.is_half_made() {
            let bytes = backup.to_bytes()?;
            self.write(KEPT, &bytes)?;
        }
        self.begin(backup, last_index).await
    }

    /// What an interrupted recovery kept.
    fn kept(&self) -> Result<Survivor, NewLifeError> {
        let bytes = self.env.disk.read(&self.data_dir.join(KEPT)).map_err(|error| self.failed(error))?;
        let backup = Backup::from_bytes(&bytes)?;
        let last_index = backup.state.epoch().0;
        let voters = backup.state.coordinators().keys().copied().collect();
        Ok(Survivor { backup, voters, last_index, uncertain: 0 })
    }

    /// Puts log and snapshot in place, such that an interruption anywhere is noticed.
    async fn begin(&self, backup: Backup, last_index: u64) -> Result<NewLife, NewLifeError> {
        let held = backup.identity().map_or(Incarnation(0), |(_, incarnation)| incarnation);
        let incarnation =
            next_incarnation(held, self.env.wall_clock.now_unix_ms(), self.env.random.next_u64());
        let index = last_index.max(backup.state.epoch().0);
        let state = backup.state.reborn(incarnation, self.id, self.about.clone(), index);
        let next = state.next_coordinator();
        let again = self.is_half_made();
        self.write(MARKER, b"a new life of the cluster is being made here\n")?;
        self.clear(again, incarnation).map_err(|error| self.failed(error))?;
        let at = LogId::new(LeaderId::new(FIRST_TERM, self.id), index);
        let disk = self.begin_log(at).await?;
        self.begin_snapshot(at, disk, &state).await.map_err(|error| self.failed(error))?;
        let (marker, made) = (self.data_dir.join(MARKER), self.data_dir.join(MADE));
        self.env.disk.rename_durably(&marker, &made).map_err(|error| self.failed(error))?;
        Ok(NewLife { incarnation, next })
    }

    /// Takes what is there out of the way: renamed the first time, removed where it is the half of an earlier attempt.
    fn clear(&self, again: bool, incarnation: Incarnation) -> io::Result<()> {
        let disk = &self.env.disk;
        let snapshot = self.data_dir.join("snapshot");
        let segments = self.segments()?;
        for path in segments.into_iter().chain(disk.exists(&snapshot).then_some(snapshot)) {
            if again {
                disk.remove_file(&path)?;
            } else {
                let mut aside = path.clone().into_os_string();
                aside.push(format!(".before-{incarnation}"));
                disk.rename_durably(&path, Path::new(&aside))?;
            }
        }
        Ok(())
    }

    async fn begin_log(&self, at: LogId) -> Result<DiskId, NewLifeError> {
        let mut store = self.log().await?;
        let vote = Vote { leader_id: at.leader_id, committed: false };
        let writes = [Write::Vote(vote.into()), Write::Purge(at.into())];
        store.commit(&writes).await.map_err(|error| self.failed(error))?;
        Ok(store.disk())
    }

    async fn begin_snapshot(&self, at: LogId, disk: DiskId, state: &ClusterState) -> io::Result<()> {
        let us = BTreeMap::from([(self.id, Member { raft: self.about.raft.clone(), disk })]);
        let membership = Membership::new(vec![BTreeSet::from([self.id])], us).map_err(io::Error::other)?;
        let meta = SnapshotMeta {
            last_log_id: Some(at),
            last_membership: StoredMembership::new(Some(at), membership),
        };
        let data = codec::encode(&record::StateRecord(state.clone()))?;
        let snapshots = self.snapshots().map_err(io::Error::other)?;
        snapshots.keep(Snapshot { meta, data: data.into() }).await
    }

    fn is_half_made(&self) -> bool {
        self.env.disk.exists(&self.data_dir.join(MARKER))
    }

    fn has_log(&self) -> Result<bool, NewLifeError> {
        let segments = self.segments().map_err(|error| self.failed(error))?;
        Ok(!segments.is_empty() || self.env.disk.exists(&self.data_dir.join("snapshot")))
    }

    /// The files of a log that is in use.
    fn segments(&self) -> io::Result<Vec<PathBuf>> {
        let folder = self.data_dir.join("log");
        if !self.env.disk.exists(&folder) {
            return Ok(Vec::new());
        }
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "segment");
        Ok(self.env.disk.list(&folder)?.into_iter().filter(is_segment).collect())
    }

    async fn log(&self) -> Result<SegmentedLog, NewLifeError> {
        let place = place(&self.env, &self.data_dir, self.id, &self.cluster, Sizes::default());
        Ok(SegmentedLog::open(place, Runtime::current()).await?)
    }

    fn snapshots(&self) -> Result<Snapshots, SnapshotError> {
        Snapshots::open(Arc::clone(&self.env.disk), self.data_dir.join("snapshot"), Runtime::current())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), NewLifeError> {
        let path = self.data_dir.join(name);
        self.env.disk.write_durably(&path, bytes).map_err(|error| self.failed(error))
    }

    fn failed(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NewLifeError {
        NewLifeError::Disk { path: self.data_dir.clone(), source: source.into() }
    }
}

/// Lives that begin in one millisecond are told apart by as many numbers.
const LIVES_A_MILLISECOND: u64 = 1000;

/// A life's number is the millisecond in which it began and a number drawn: above that of every earlier one, also where
/// the same backup was restored before, or one that was taken before a recovery. Nodes obey the highest.
fn next_incarnation(held: Incarnation, now_unix_ms: i64, drawn: u64) -> Incarnation {
    let now = u64::try_from(now_unix_ms).unwrap_or(0);
    let life = now.saturating_mul(LIVES_A_MILLISECOND).saturating_add(drawn % LIVES_A_MILLISECOND);
    Incarnation(life.max(held.0.saturating_add(1)))
}
