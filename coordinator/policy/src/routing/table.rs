//! The routing table: what the log wants, joined with what the nodes say they hold.
//!
//! A node that reports a later epoch than this state knows more than the state does, and is believed; so a gateway
//! that lags behind the log, or is cut off from it, goes on. Reports do not name layers yet, so a replica known
//! from a report alone is taken for a whole one.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use helixflow_model::{Epoch, Fence, ModelId, NodeId, NodeReport, ReplicaId, ReplicaPhase, ReplicaReport};

use super::{Candidate, wait};
use crate::state::{ClusterState, ModelKey, NodeHealth, Replica};

/// A lost node counts only while its reports are as fresh as this: it may be cut off from the leader, but not from
/// this gateway. The node of a crashed machine would cost each request a failed call.
const FRESH: Duration = Duration::from_secs(3);

/// A node's latest report, and how long ago it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What it said.
    pub report: Arc<NodeReport>,
    /// The age of it, summed over the hops that it took.
    pub age: Duration,
}

/// Who can answer for which model; immutable once built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutingTable {
    models: BTreeMap<ModelId, Vec<Version>>,
}

/// A version of a model, and how many replicas of it are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served<'a> {
    /// The model.
    pub model: &'a ModelId,
    /// Its version.
    pub version: &'a str,
    /// Replicas that are ready.
    pub ready: usize,
}

/// One version of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) ready: Vec<Candidate>,
    pub(super) loading: usize,
    pub(super) draining: usize,
}

impl RoutingTable {
    /// Joins the replicated state with the latest report of each node.
    pub fn build(state: &ClusterState, heard: &BTreeMap<NodeId, Heard>) -> Self {
        let mut versions: BTreeMap<ModelKey, Version> = BTreeMap::new();
        for key in state.models().keys() {
            versions.insert(key.clone(), Version::named(&key.version));
        }
        let mut told = BTreeSet::new();
        for (id, replica) in state.replicas() {
            let version = versions
                .entry(replica.model.clone())
                .or_insert_with(|| Version::named(&replica.model.version));
            version.add(standing(state, heard, *id, replica));
            told.insert(*id);
        }
        for (node, replica) in unknown_replicas(state, heard, &told) {
            let key = ModelKey { id: replica.model.clone(), version: replica.version.clone() };
            let version = versions.entry(key).or_insert_with_key(|key| Version::named(&key.version));
            version.add(spoken_for(node, replica));
        }
        Self::collect(versions)
    }

    fn collect(versions: BTreeMap<ModelKey, Version>) -> Self {
        let mut models: BTreeMap<ModelId, Vec<Version>> = BTreeMap::new();
        for (key, mut version) in versions {
            version.expect_waits();
            models.entry(key.id).or_default().push(version);
        }
        for versions in models.values_mut() {
            versions.sort_by(|one, other| by_age(&other.name, &one.name));
        }
        Self { models }
    }

    /// The versions of a model, the newest first.
    pub(super) fn versions(&self, model: &ModelId) -> Option<&[Version]> {
        self.models.get(model).map(Vec::as_slice)
    }

    /// Every version of every model that is served, or about to be.
    pub fn served(&self) -> impl Iterator<Item = Served<'_>> {
        self.models.iter().flat_map(|(model, versions)| {
            versions.iter().map(move |version| Served {
                model,
                version: &version.name,
                ready: version.ready.len(),
            })
        })
    }

    /// Whether the model is known here, at any version, ready or not.
    pub fn knows(&self, model: &ModelId) -> bool {
        self.models.contains_key(model)
    }

    /// Every ready replica of every model.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.models.values().flatten().flat_map(|version| &version.ready)
    }

    /// The ready replicas of every version of a model, the newest version first.
    pub fn ready<'a>(&'a self, model: &ModelId) -> impl Iterator<Item = &'a Candidate> {
        self.versions(model).unwrap_or_default().iter().flat_map(|version| &version.ready)
    }
}

impl Version {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    fn add(&mut self, standing: Standing) {
        match standing {
            Standing::Ready(candidate) => self.ready.push(candidate),
            Standing::Loading => self.loading += 1,
            Standing::Draining => self.draining += 1,
            Standing::Gone => {}
        }
    }

    /// Fills in the waits, which depend on all candidates together.
    fn expect_waits(&mut self) {
        let reference = wait::reference_speed(self.ready.iter().map(|candidate| &candidate.load));
        let waits: Vec<Duration> =
            self.ready.iter().map(|candidate| wait::reported(&candidate.load, reference)).collect();
        let count = u32::try_from(waits.len().max(1)).unwrap_or(u32::MAX);
        let sum = waits.iter().fold(Duration::ZERO, |sum, wait| sum.saturating_add(*wait));
        for (candidate, reported) in self.ready.iter_mut().zip(waits) {
            candidate.expected_wait = wait::aged(reported, sum / count, candidate.age);
            candidate.each_more = wait::each_more(&candidate.load, reference);
        }
    }
}

/// How a replica stands towards requests.
enum Standing {
    Ready(Candidate),
    Loading,
    Draining,
    /// It failed, or its node is lost and silent.
    Gone,
}

/// How a replica of the log stands, by what the nodes of its parts say.
fn standing(
    state: &ClusterState,
    heard: &BTreeMap<NodeId, Heard>,
    id: ReplicaId,
    replica: &Replica,
) -> Standing {
    let mut draining = false;
    let mut loading = false;
    let mut head = None;
    for part in &replica.parts {
        let said = heard.get(&part.node);
        let lost = state.nodes().get(&part.node).is_none_or(|node| node.health == NodeHealth::Lost);
        if lost && said.is_none_or(|heard| heard.age > FRESH) {
            return Standing::Gone;
        }
        let fence = Fence { replica: id, generation: replica.generation };
        let Some((heard, part)) = said.and_then(|heard| Some((heard, held(heard, fence, state.epoch())?)))
        else {
            loading = true;
            continue;
        };
        match part.phase {
            ReplicaPhase::Ready => head = head.or(Some((heard, part))),
            ReplicaPhase::Fetching | ReplicaPhase::Loading => loading = true,
            ReplicaPhase::Draining => draining = true,
            ReplicaPhase::Failed => return Standing::Gone,
        }
    }
    match head {
        _ if draining => Standing::Draining,
        Some((heard, replica)) if !loading => spoken_for(heard, replica),
        _ => Standing::Loading,
    }
}

/// What a node holds of a replica: at the generation of the log, or at a later one that the log has yet to tell.
fn held(heard: &Heard, fence: Fence, epoch: Epoch) -> Option<&ReplicaReport> {
    heard.report.replicas.iter().find(|report| {
        report.fence == fence
            || (report.fence.replica == fence.replica
                && report.fence.generation > fence.generation
                && report.epoch > epoch)
    })
}

/// Replicas that nodes hold by a later log than this state's.
fn unknown_replicas<'a>(
    state: &'a ClusterState,
    heard: &'a BTreeMap<NodeId, Heard>,
    told: &'a BTreeSet<ReplicaId>,
) -> impl Iterator<Item = (&'a Heard, &'a ReplicaReport)> {
    heard
        .values()
        .flat_map(|heard| heard.report.replicas.iter().map(move |replica| (heard, replica)))
        .filter(|(_, replica)| replica.epoch > state.epoch() && !told.contains(&replica.fence.replica))
}

/// How a replica stands by its node's word.
fn spoken_for(heard: &Heard, replica: &ReplicaReport) -> Standing {
    match replica.phase {
        ReplicaPhase::Ready => Standing::Ready(Candidate {
            fence: replica.fence,
            node: heard.report.node,
            region: heard.report.region.clone(),
            advertise: heard.report.advertise.clone(),
            numerics: replica.numerics.clone(),
            load: replica.load,
            age: heard.age,
            expected_wait: Duration::ZERO,
            each_more: Duration::ZERO,
        }),
        ReplicaPhase::Fetching | ReplicaPhase::Loading => Standing::Loading,
        ReplicaPhase::Draining => Standing::Draining,
        ReplicaPhase::Failed => Standing::Gone,
    }
}

/// Orders versions from old to new: as numbers where both are numbers, as text otherwise.
fn by_age(one: &str, other: &str) -> Ordering {
    match (one.parse::<u64>(), other.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => Ordering::Equal,
    }
    .then_with(|| one.cmp(other))
}
