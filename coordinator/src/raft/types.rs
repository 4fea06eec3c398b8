//! The types that openraft is built over, generic over the async runtime, so that a simulation can bring a seeded one.
//!
//! Only the runtime is a parameter: entries, votes and members are the same types in production and in simulation.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;

use helixflow_model::CoordinatorId;
use helixflow_policy::state::{Outcome, Proposal};
use openraft::impls::{BoxedErrorSource, InlineBatch, ProgressResponder, leader_id_adv};
use openraft::{AsyncRuntime, EntryPayload, OptionalSend, RaftTypeConfig};
use serde::{Deserialize, Serialize};

/// Who leads in which term.
pub(crate) type LeaderId = leader_id_adv::LeaderId<u64, CoordinatorId>;
/// A place in the log: the leader that wrote it, and its index.
pub(crate) type LogId = openraft::LogId<LeaderId>;
/// A vote as it is stored and sent.
pub(crate) type Vote = openraft::Vote<LeaderId>;
/// What an entry holds.
pub(crate) type Payload = EntryPayload<Proposal, CoordinatorId, Member>;
/// A log entry.
pub(crate) type Entry = openraft::Entry<LeaderId, Payload>;
/// Voters, learners and where they are.
pub(crate) type Membership = openraft::Membership<CoordinatorId, Member>;
/// A membership and the entry that made it so.
pub(crate) type StoredMembership = openraft::StoredMembership<LeaderId, CoordinatorId, Member>;
/// What a snapshot covers.
pub(crate) type SnapshotMeta = openraft::storage::SnapshotMeta<LeaderId, CoordinatorId, Member>;

/// One disk's own number, drawn when its store is made: a wiped disk under an old id is noticed by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiskId(pub u128);

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// How the others reach a coordinator, and which disk they expect there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    /// `host:port` of its Raft port.
    pub(crate) raft: String,
    /// The disk that holds its log.
    pub(crate) disk: DiskId,
}

/// What openraft is instantiated with; `R` is its async runtime.
pub(crate) struct TypeConfig<R>(PhantomData<fn() -> R>);

impl<R: AsyncRuntime> RaftTypeConfig for TypeConfig<R> {
    type D = Proposal;
    /// `None` for entries that hold no command.
    type R = Option<Outcome>;
    type NodeId = CoordinatorId;
    type Node = Member;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = R;
    type Responder<T>
        = ProgressResponder<Self, T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = BoxedErrorSource;
}

// Written by hand: a derive would ask the runtime for what only the marker needs.
impl<R> Clone for TypeConfig<R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R> Copy for TypeConfig<R> {}
impl<R> Default for TypeConfig<R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}
impl<R> fmt::Debug for TypeConfig<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypeConfig")
    }
}
impl<R> PartialEq for TypeConfig<R> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<R> Eq for TypeConfig<R> {}
impl<R> PartialOrd for TypeConfig<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<R> Ord for TypeConfig<R> {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}
