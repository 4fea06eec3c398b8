//! Log entries.

use helixflow_policy::state::Command;
use openraft::EntryPayload;
use serde::{Deserialize, Serialize};

use super::LogIdRecord;
use super::membership::{BadMembership, MembershipRecord};
use crate::raft::codec::Record;
use crate::raft::types::{Entry, Proposal};

/// One entry, as it is stored and sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EntryRecord {
    pub(crate) id: LogIdRecord,
    payload: PayloadRecord,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum PayloadRecord {
    Blank,
    Command(Command),
    Membership(MembershipRecord),
}

impl Record for EntryRecord {
    const NAME: &'static str = "log entry";
    const VERSION: u8 = 1;
}

impl From<Entry> for EntryRecord {
    fn from(entry: Entry) -> Self {
        let payload = match entry.payload {
            EntryPayload::Blank => PayloadRecord::Blank,
            EntryPayload::Normal(Proposal(command)) => PayloadRecord::Command(command),
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
            PayloadRecord::Command(command) => EntryPayload::Normal(Proposal(command)),
            PayloadRecord::Membership(membership) => EntryPayload::Membership(membership.try_into()?),
        };
        Ok(Self { log_id: record.id.into(), payload })
    }
}
