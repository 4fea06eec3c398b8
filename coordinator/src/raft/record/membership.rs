//! Voters, learners and their addresses.

use std::collections::{BTreeMap, BTreeSet};

use helixflow_model::CoordinatorId;
use serde::{Deserialize, Serialize};

use super::LogIdRecord;
use crate::raft::types::{DiskId, Member, Membership, StoredMembership};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct MemberRecord {
    raft: String,
    disk: DiskId,
}

/// The voters (two sets while they change) and everybody's address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MembershipRecord {
    voters: Vec<BTreeSet<CoordinatorId>>,
    members: BTreeMap<CoordinatorId, MemberRecord>,
}

/// A membership that openraft would refuse: a set of voters is empty, or a voter has no address.
#[derive(Debug, thiserror::Error)]
#[error("a membership that cannot be: {0}; the file or message is damaged")]
pub(crate) struct BadMembership(String);

impl From<BadMembership> for std::io::Error {
    fn from(error: BadMembership) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}

impl From<Membership> for MembershipRecord {
    fn from(membership: Membership) -> Self {
        let record = |m: &Member| MemberRecord { raft: m.raft.clone(), disk: m.disk };
        Self {
            voters: membership.get_joint_config().clone(),
            members: membership.nodes().map(|(id, member)| (*id, record(member))).collect(),
        }
    }
}

impl TryFrom<MembershipRecord> for Membership {
    type Error = BadMembership;

    fn try_from(record: MembershipRecord) -> Result<Self, BadMembership> {
        let member = |m: MemberRecord| Member { raft: m.raft, disk: m.disk };
        let members: BTreeMap<_, _> = record.members.into_iter().map(|(id, m)| (id, member(m))).collect();
        Self::new(record.voters, members).map_err(|e| BadMembership(e.to_string()))
    }
}

/// A membership and the entry that made it so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMembershipRecord {
    at: Option<LogIdRecord>,
    membership: MembershipRecord,
}

impl From<StoredMembership> for StoredMembershipRecord {
    fn from(stored: StoredMembership) -> Self {
        Self { at: stored.log_id().map(Into::into), membership: stored.membership().clone().into() }
    }
}

impl TryFrom<StoredMembershipRecord> for StoredMembership {
    type Error = BadMembership;

    fn try_from(record: StoredMembershipRecord) -> Result<Self, BadMembership> {
        Ok(Self::new(record.at.map(Into::into), record.membership.try_into()?))
    }
}
