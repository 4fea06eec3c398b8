//! The state machine, with a bug or without.

use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use helixflow_model::{CoordinatorId, Epoch, FeatureLevel};
use helixflow_policy::state::Outcome;
use openraft::storage::{EntryResponder, RaftStateMachine, Snapshot as RaftSnapshot};
use openraft::{EntryPayload, OptionalSend};

use super::{Bug, Types};
use crate::raft::codec::{decode, encode};
use crate::raft::machine::{Builder, Machine};
use crate::raft::record::StateRecord;
use crate::raft::types::{LeaderId, LogId, Member, SnapshotMeta, StoredMembership};

/// One entry in so many is left out.
const LEFT_OUT: u64 = 41;
/// The replica that leaves it out.
const FORGETFUL: u64 = 2;

/// The state machine, with a bug or without.
pub(in crate::raft::simulation) struct PlantedMachine {
    machine: Machine,
    bug: Option<Bug>,
    replica: u64,
    /// What this process can apply.
    level: FeatureLevel,
}

impl PlantedMachine {
    pub(in crate::raft::simulation) fn new(
        machine: Machine,
        bug: Option<Bug>,
        replica: u64,
        level: FeatureLevel,
    ) -> Self {
        Self { machine, bug, replica, level }
    }
}

type Item = io::Result<EntryResponder<Types>>;

/// An entry as the bug would have it. An older build cannot read a newer command.
fn alter(item: Item, bug: Option<Bug>, replica: u64, level: FeatureLevel) -> Item {
    let (mut entry, responder) = item?;
    if let EntryPayload::Normal(proposal) = &entry.payload
        && proposal.command.level() > level
    {
        return Err(io::Error::other(format!("{proposal} is beyond this build")));
    }
    let hit = entry.log_id.index % LEFT_OUT == 0 && matches!(entry.payload, EntryPayload::Normal(_));
    match bug {
        Some(Bug::EntrySkipped) if hit && replica == FORGETFUL && responder.is_none() => {
            entry.payload = EntryPayload::Blank;
        }
        Some(Bug::WriteLost) if hit => {
            entry.payload = EntryPayload::Blank;
            if let Some(responder) = responder {
                responder.send(Some(Outcome::Put { revision: Epoch(1) }));
            }
            return Ok((entry, None));
        }
        Some(Bug::NumberForgotten) => {
            if let EntryPayload::Normal(proposal) = &mut entry.payload {
                proposal.write = None;
            }
        }
        _ => {}
    }
    Ok((entry, responder))
}

/// The same state with no session in it.
fn without_sessions(data: &Bytes) -> io::Result<Bytes> {
    let StateRecord(state) = decode(data)?;
    let mut fields = serde_json::to_value(state)?;
    fields["sessions"] = serde_json::json!({});
    Ok(encode(&StateRecord(serde_json::from_value(fields)?))?.into())
}

impl RaftStateMachine<Types> for PlantedMachine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        RaftStateMachine::<Types>::applied_state(&mut self.machine).await
    }

    async fn apply<S: Stream<Item = Item> + Unpin + OptionalSend>(&mut self, entries: S) -> io::Result<()> {
        let (bug, replica, level) = (self.bug, self.replica, self.level);
        let altered = entries.map(move |item| alter(item, bug, replica, level));
        RaftStateMachine::<Types>::apply(&mut self.machine, altered).await
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        RaftStateMachine::<Types>::try_create_snapshot_builder(&mut self.machine, force).await
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        RaftStateMachine::<Types>::get_snapshot_builder(&mut self.machine).await
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Bytes) -> io::Result<()> {
        let forgets = self.bug == Some(Bug::SnapshotWithoutSessions);
        let data = if forgets { without_sessions(&data)? } else { data };
        RaftStateMachine::<Types>::install_snapshot(&mut self.machine, meta, data).await
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<RaftSnapshot<LeaderId, CoordinatorId, Member, Bytes>>> {
        RaftStateMachine::<Types>::get_current_snapshot(&mut self.machine).await
    }
}
