//! The state machine: the pure `ClusterState` in memory, its applied index, and snapshots of it.
//!
//! An answer goes to its proposer only after the state that it made can be read: whoever is told of a change sees it.

use std::io;
use std::sync::Arc;

use futures::{Stream, TryStreamExt};
use helixflow_policy::state::{ClusterState, Outcome};
use openraft::storage::{
    ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot as RaftSnapshot,
};
use openraft::{AsyncRuntime, EntryPayload, OptionalSend};
use tokio::sync::watch;

use super::codec::{decode, encode};
use super::record::StateRecord;
use super::snapshot::{Snapshot, Snapshots};
use super::types::{Entry, LeaderId, LogId, Member, SnapshotMeta, StoredMembership, TypeConfig};
use helixflow_model::CoordinatorId;

/// A snapshot as openraft passes it on.
type Current = RaftSnapshot<LeaderId, CoordinatorId, Member, bytes::Bytes>;

/// Applies the log.
pub(crate) struct Machine {
    applied: Option<LogId>,
    membership: StoredMembership,
    state: Arc<ClusterState>,
    publish: watch::Sender<Arc<ClusterState>>,
    snapshots: Snapshots,
}

impl Machine {
    /// An empty state; openraft installs the last snapshot and applies what is committed behind it.
    pub(crate) fn new(snapshots: Snapshots) -> Self {
        let (publish, _) = watch::channel(Arc::default());
        Self {
            applied: None,
            membership: StoredMembership::default(),
            state: Arc::default(),
            publish,
            snapshots,
        }
    }

    /// The state and the membership that a snapshot and the entries behind it lead to, and where they end.
    pub(crate) fn replay(
        snapshots: Snapshots,
        entries: impl IntoIterator<Item = Entry>,
    ) -> io::Result<(Arc<ClusterState>, StoredMembership, Option<LogId>)> {
        let current = snapshots.current();
        let mut machine = Self::new(snapshots);
        if let Some(Snapshot { meta, data }) = current {
            let StateRecord(state) = decode(&data)?;
            machine.state = Arc::new(state);
            machine.applied = meta.last_log_id;
            machine.membership = meta.last_membership;
        }
        for entry in entries {
            if Some(entry.log_id) > machine.applied {
                machine.apply_entry(entry);
            }
        }
        Ok((machine.state, machine.membership, machine.applied))
    }

    /// The applied state, now and after every change.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
        self.publish.subscribe()
    }

    fn apply_entry(&mut self, entry: Entry) -> Option<Outcome> {
        self.applied = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Blank => None,
            EntryPayload::Normal(proposal) => {
                Some(Arc::make_mut(&mut self.state).apply(entry.log_id.index, proposal))
            }
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                None
            }
        }
    }

    fn publish(&self) {
        self.publish.send_replace(Arc::clone(&self.state));
    }
}

impl<R: AsyncRuntime> RaftStateMachine<TypeConfig<R>> for Machine {
    type SnapshotData = bytes::Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig<R>>>> + Unpin + OptionalSend,
    {
        let mut answers: Vec<(ApplyResponder<TypeConfig<R>>, Option<Outcome>)> = Vec::new();
        while let Some((entry, responder)) = entries.try_next().await? {
            let outcome = self.apply_entry(entry);
            answers.extend(responder.map(|responder| (responder, outcome)));
        }
        self.publish();
        for (responder, outcome) in answers {
            responder.send(outcome);
        }
        Ok(())
    }

    /// None while the disk is low: the log holds everything, and openraft asks again.
    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        if !force && self.snapshots.room().is_low() {
            return None;
        }
        Some(RaftStateMachine::<TypeConfig<R>>::get_snapshot_builder(self).await)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            meta: SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() },
            state: Arc::clone(&self.state),
            snapshots: self.snapshots.clone(),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: bytes::Bytes) -> io::Result<()> {
        let StateRecord(state) = decode(&data)?;
        self.snapshots.keep(Snapshot { meta: meta.clone(), data }).await?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.state = Arc::new(state);
        self.publish();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Current>> {
        let current = self.snapshots.current();
        Ok(current.map(|Snapshot { meta, data }| Current { meta, snapshot: data }))
    }
}

/// Makes a snapshot of the state as it was when the builder was made, while the log goes on.
pub(crate) struct Builder {
    meta: SnapshotMeta,
    state: Arc<ClusterState>,
    snapshots: Snapshots,
}

impl<R: AsyncRuntime> RaftSnapshotBuilder<TypeConfig<R>> for Builder {
    type SnapshotData = bytes::Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Current> {
        let (state, meta) = (Arc::clone(&self.state), self.meta.clone());
        let encoded = move || Ok(encode(&StateRecord(state.as_ref().clone()))?.into());
        let Snapshot { meta, data } = self.snapshots.make(meta, encoded).await?;
        Ok(Current { meta, snapshot: data })
    }
}
