//! What one request sees: the routing table, a connection to each node in it, and what this gateway has under way there.
//!
//! A snapshot is swapped in whole. Connections and counts are carried over from the one before, so a request takes them
//! without a lock; the connections to nodes that are gone end with the last stream on them. Most tables differ from the
//! one before in their figures alone: then all of them are carried over at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use helixflow_model::{ModelId, ReplicaId};
use helixflow_policy::routing::{Candidate, NoReplica, Own, RoutingTable};
use helixflow_proto::error::{Reason, status};
use tonic::Status;

use super::channels::{Channels, NodeChannel};
use super::refusal;

/// A replica's node was heard so lately: it reports several times a second, and says ready only of an engine that has
/// made progress within a few tens of seconds.
const RECENT: Duration = Duration::from_secs(15);

/// Immutable, but for the counts.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) table: RoutingTable,
    /// Whether this coordinator knows its cluster at all.
    is_member: bool,
    links: Arc<Links>,
}

/// What leads to the replicas of a table.
#[derive(Debug, Default)]
struct Links {
    /// By the node's address; none for an address that is none.
    channels: BTreeMap<String, Option<NodeChannel>>,
    own: BTreeMap<ReplicaId, Arc<Counts>>,
}

/// What this gateway has at a replica.
#[derive(Debug, Default)]
struct Counts {
    under_way: AtomicU32,
    unanswered: AtomicU32,
}

impl Links {
    /// After `before`, with what another table needs.
    fn next(before: &Self, table: &RoutingTable, make: &Channels) -> Self {
        let mut channels = BTreeMap::new();
        // A replica that is not ready for a moment still runs what it has.
        let in_use = |(_, counts): &(&ReplicaId, &Arc<Counts>)| Arc::strong_count(counts) > 1;
        let kept = before.own.iter().filter(in_use);
        let mut own: BTreeMap<_, _> = kept.map(|(id, counts)| (*id, Arc::clone(counts))).collect();
        for candidate in table.candidates() {
            let (id, address) = (candidate.fence.replica, candidate.advertise());
            if !channels.contains_key(address) {
                let held = before.channels.get(address).cloned();
                channels.insert(address.to_owned(), held.unwrap_or_else(|| make.to(address)));
            }
            own.entry(id).or_insert_with(|| before.own.get(&id).cloned().unwrap_or_default());
        }
        Self { channels, own }
    }
}

/// Who is to be reached where.
fn ends(table: &RoutingTable) -> impl Iterator<Item = (ReplicaId, &str)> {
    table.candidates().map(|candidate| (candidate.fence.replica, candidate.advertise()))
}

impl Snapshot {
    /// After `before`, with a newer table.
    pub(super) fn next(before: &Self, table: RoutingTable, is_member: bool, make: &Channels) -> Self {
        let links = if ends(&table).eq(ends(&before.table)) {
            Arc::clone(&before.links)
        } else {
            Arc::new(Links::next(&before.links, &table, make))
        };
        Self { table, is_member, links }
    }

    /// Whether requests are answered: some replica made progress lately, and this coordinator knows its cluster.
    pub(super) fn is_ready(&self) -> bool {
        self.is_member && self.table.candidates().any(|candidate| candidate.age <= RECENT)
    }

    /// What this gateway has under way at a replica.
    pub(super) fn own(&self, replica: ReplicaId) -> Own {
        let now = |counts: &Arc<Counts>| Own {
            under_way: counts.under_way.load(Relaxed),
            unanswered: counts.unanswered.load(Relaxed),
        };
        self.links.own.get(&replica).map(now).unwrap_or_default()
    }

    /// The connection to a candidate's node.
    pub(super) fn channel(&self, candidate: &Candidate) -> Option<NodeChannel> {
        self.links.channels.get(candidate.advertise())?.clone()
    }

    /// A request more at a candidate, for as long as it is held.
    pub(super) fn begin(&self, candidate: &Candidate) -> Option<UnderWay> {
        self.links.own.get(&candidate.fence.replica).map(UnderWay::begin)
    }

    /// Whether a coordinator that has just started may soon find a replica after all.
    pub(super) fn may_yet_learn(&self, why: &NoReplica) -> bool {
        !self.is_member || !matches!(why, NoReplica::UnknownModel { .. } | NoReplica::UnknownVersion { .. })
    }

    /// The status of a request that no replica here can take.
    pub(super) fn refuse(&self, why: &NoReplica) -> Status {
        if self.is_member {
            return refusal::no_replica(why);
        }
        status(
            Reason::NoReplica,
            "this coordinator knows no cluster yet: try another one, or again in a moment",
        )
    }

    /// The model as a label of metrics: what clients make up never becomes one.
    pub(super) fn label(&self, model: &ModelId) -> String {
        if self.table.knows(model) { model.to_string() } else { "other".to_owned() }
    }
}

/// One request that is under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    counts: Arc<Counts>,
    is_answered: bool,
}

impl UnderWay {
    fn begin(counts: &Arc<Counts>) -> Self {
        counts.under_way.fetch_add(1, Relaxed);
        counts.unanswered.fetch_add(1, Relaxed);
        Self { counts: Arc::clone(counts), is_answered: false }
    }

    /// Its first token has come.
    pub(super) fn answered(&mut self) {
        if !std::mem::replace(&mut self.is_answered, true) {
            self.counts.unanswered.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.answered();
        self.counts.under_way.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_for_its_first_token_once_and_is_under_way_until_it_is_dropped() {
        let counts = Arc::new(Counts::default());
        let now = || (counts.under_way.load(Relaxed), counts.unanswered.load(Relaxed));
        let mut answered = UnderWay::begin(&counts);
        let given_up = UnderWay::begin(&counts);
        assert_eq!(now(), (2, 2));
        answered.answered();
        answered.answered();
        assert_eq!(now(), (2, 1));
        drop(given_up);
        assert_eq!(now(), (1, 0));
        drop(answered);
        assert_eq!(now(), (0, 0));
    }
}
