//! Log entries.

use helixflow_policy::state::{Command, CommandVersion1, Proposal};
use openraft::EntryPayload;
use serde::{Deserialize, Serialize};

use super::LogIdRecord;
use super::membership::{BadMembership, MembershipRecord};
use crate::raft::codec::{Older, Record};
use crate::raft::types::Entry;

/// One entry, as it is stored and sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryRecord {
    pub(crate) id: LogIdRecord,
    payload: PayloadRecord,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum PayloadRecord {
    Blank,
    Proposal(Proposal),
    Membership(MembershipRecord),
}

impl Record for EntryRecord {
    const NAME: &'static str = "log entry";
    const VERSION: u8 = 2;
    const OLDER: &[Older<Self>] = &[Older::layout::<EntryVersion1>(1)];
}

/// An entry as version 1 laid it out.
#[derive(Deserialize)]
struct EntryVersion1 {
    id: LogIdRecord,
    payload: PayloadVersion1,
}

#[derive(Deserialize)]
enum PayloadVersion1 {
    Blank,
    Command(CommandVersion1),
    Membership(MembershipRecord),
}

impl From<EntryVersion1> for EntryRecord {
    fn from(old: EntryVersion1) -> Self {
        let payload = match old.payload {
            PayloadVersion1::Blank => PayloadRecord::Blank,
            PayloadVersion1::Command(command) => PayloadRecord::Proposal(Command::from(command).into()),
            PayloadVersion1::Membership(membership) => PayloadRecord::Membership(membership),
        };
        Self { id: old.id, payload }
    }
}

impl From<Entry> for EntryRecord {
    fn from(entry: Entry) -> Self {
        let payload = match entry.payload {
            EntryPayload::Blank => PayloadRecord::Blank,
            EntryPayload::Normal(proposal) => PayloadRecord::Proposal(proposal),
            EntryPayload::Membership(membership) => PayloadRecord::Membership(membership.into()),
        };
        Self { id: entry.log_id.into(), payload }
    }
}

impl TryFrom<EntryRecord> for Entry {
    type Error = BadMembership;

    fn try_from(record: EntryRecord) -> Result<Self, BadMembership> {
        let payload = match record.payload {
            PayloadRecord::Blank => EntryPayload::Blank,
            PayloadRecord::Proposal(proposal) => EntryPayload::Normal(proposal),
            PayloadRecord::Membership(membership) => EntryPayload::Membership(membership.try_into()?),
        };
        Ok(Self { log_id: record.id.into(), payload })
    }
}
