//! Snapshots: what they cover, and the state that they hold.

use helixflow_policy::state::{ClusterState, StateVersion1, StateVersion2};
use serde::{Deserialize, Serialize};

use super::membership::BadMembership;
use super::{LogIdRecord, StoredMembershipRecord};
use crate::raft::codec::{Older, Record};
use crate::raft::types::SnapshotMeta;

/// What a snapshot covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotMetaRecord {
    last: Option<LogIdRecord>,
    membership: StoredMembershipRecord,
}

impl From<SnapshotMeta> for SnapshotMetaRecord {
    fn from(meta: SnapshotMeta) -> Self {
        Self { last: meta.last_log_id.map(Into::into), membership: meta.last_membership.into() }
    }
}

impl TryFrom<SnapshotMetaRecord> for SnapshotMeta {
    type Error = BadMembership;

    fn try_from(record: SnapshotMetaRecord) -> Result<Self, BadMembership> {
        Ok(Self { last_log_id: record.last.map(Into::into), last_membership: record.membership.try_into()? })
    }
}

/// The file on disk: what it covers, and the encoded [`StateRecord`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotRecord {
    pub(crate) meta: SnapshotMetaRecord,
    pub(crate) state: Vec<u8>,
}

impl Record for SnapshotRecord {
    const NAME: &'static str = "snapshot";
    const VERSION: u8 = 1;
}

/// The cluster's state, as it is stored and sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct StateRecord(pub(crate) ClusterState);

impl Record for StateRecord {
    const NAME: &'static str = "cluster state";
    const VERSION: u8 = 3;
    const OLDER: &[Older<Self>] = &[Older::layout::<StateVersion1>(1), Older::layout::<StateVersion2>(2)];
}

impl From<StateVersion1> for StateRecord {
    fn from(old: StateVersion1) -> Self {
        Self(old.into())
    }
}

impl From<StateVersion2> for StateRecord {
    fn from(old: StateVersion2) -> Self {
        Self(old.into())
    }
}
