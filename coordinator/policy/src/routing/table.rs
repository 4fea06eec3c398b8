//! The routing table: what the log wants, joined with what the nodes say they hold.
//!
//! It is built in two steps, since what a replica is expected to take depends on all of its version together: first who
//! is ready, then how long each would take.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use helixflow_model::{ModelId, NodeId, NodeReport, Region};

use super::{
    Candidate, Rank, Thermal,
    candidate::Prospects,
    curve::Curve,
    expect::{Told, WHOLE, drifted, silence, told},
    heat::{boards, price, price_by_now, speed},
    pool::Stretch,
    standing::{Ready, Standing, spoken_for, standing, unknown_replicas},
};
use crate::state::{ClusterState, ModelKey};

/// A node's latest report, and how long ago it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What it said.
    pub report: Arc<NodeReport>,
    /// How long it has been here; the report tells what it took on its way.
    pub age: Duration,
}

impl Heard {
    /// The age of its figures, over all hops.
    fn age_of_figures(&self) -> Duration {
        self.age.saturating_add(self.report.age)
    }
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
    /// By rank, then by region.
    pub(super) ready: Vec<Candidate>,
    /// Those of one rank, the best rank first.
    pub(super) ranks: Vec<Stretch>,
    pub(super) loading: usize,
    pub(super) draining: usize,
    pub(super) resting: usize,
}

impl RoutingTable {
    /// Joins the replicated state with the latest report of each node.
    pub fn build(state: &ClusterState, heard: &BTreeMap<NodeId, Heard>, thermal: Thermal) -> Self {
        let mut drafts: BTreeMap<&ModelKey, Draft<'_>> =
            state.models().keys().map(|key| (key, Draft::default())).collect();
        let mut told = BTreeSet::new();
        for (id, replica) in state.replicas() {
            drafts.entry(&replica.model).or_default().add(standing(state, heard, *id, replica));
            told.insert(*id);
        }
        let mut versions: BTreeMap<ModelKey, Draft<'_>> =
            drafts.into_iter().map(|(key, draft)| (key.clone(), draft)).collect();
        for (heard, at, replica) in unknown_replicas(state, heard, &told) {
            let key = ModelKey { id: replica.model.clone(), version: replica.version.clone() };
            versions.entry(key).or_default().add(spoken_for(heard, at, replica));
        }
        Self::collect(versions, thermal)
    }

    fn collect(versions: BTreeMap<ModelKey, Draft<'_>>, thermal: Thermal) -> Self {
        let mut models: BTreeMap<ModelId, Vec<Version>> = BTreeMap::new();
        for (ModelKey { id, version }, draft) in versions {
            models.entry(id).or_default().push(draft.finish(version, thermal));
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

/// A version whose replicas are gathered.
#[derive(Default)]
struct Draft<'a> {
    ready: Vec<Ready<'a>>,
    loading: usize,
    draining: usize,
    resting: usize,
}

/// What all replicas of a version have in common, which each of them is held against.
struct Fleet {
    curve: Curve,
    /// The mean time of the next request by the curve alone, in microseconds: that of a usual replica with usual work.
    micros: u64,
    /// The mean price of heat.
    price: u64,
    /// The age of the freshest figures.
    freshest: Duration,
    thermal: Thermal,
}

impl<'a> Draft<'a> {
    fn add(&mut self, standing: Standing<'a>) {
        match standing {
            Standing::Ready(ready) => self.ready.push(ready),
            Standing::Loading => self.loading += 1,
            Standing::Draining => self.draining += 1,
            Standing::Resting => self.resting += 1,
            Standing::Gone => {}
        }
    }

    fn finish(self, name: String, thermal: Thermal) -> Version {
        let Self { mut ready, loading, draining, resting } = self;
        ready.sort_by(|one, other| place(one).cmp(&place(other)));
        let fleet = Fleet::of(&ready, thermal);
        let candidates: Vec<Candidate> = ready.iter().filter_map(|ready| fleet.candidate(ready)).collect();
        let ranks = ranks(&candidates);
        Version { name, ready: candidates, ranks, loading, draining, resting }
    }
}

/// Where a candidate stands in the order; equals stay in the order of their ids.
fn place<'a>(ready: &Ready<'a>) -> (Rank, &'a Region) {
    (ready.rank, &ready.heard.report.region)
}

/// The stretches of candidates that are in order.
fn ranks(candidates: &[Candidate]) -> Vec<Stretch> {
    let mut ranks = Vec::new();
    let mut begin = 0;
    for rank in candidates.chunk_by(|one, other| one.rank == other.rank) {
        let mut regions: Vec<(Region, Range<usize>)> = Vec::new();
        for region in rank.chunk_by(|one, other| one.region() == other.region()) {
            let range = begin..begin + region.len();
            begin = range.end;
            regions.extend(region.first().map(|first| (first.region().clone(), range)));
        }
        ranks.push(Stretch::of(regions));
    }
    ranks
}

impl Fleet {
    fn of(ready: &[Ready<'_>], thermal: Thermal) -> Self {
        let curve =
            Curve::fit(ready.iter().map(|ready| {
                (&ready.replica.load, speed(boards(&ready.heard.report, ready.replica), thermal))
            }));
        let freshest = ready.iter().map(|ready| ready.heard.age_of_figures()).min().unwrap_or_default();
        let mut fleet = Self { curve, micros: 0, price: 0, freshest, thermal };
        let count = ready.len().max(1) as u64;
        let sum = |of: &dyn Fn(&Ready<'_>) -> u64| ready.iter().map(of).fold(0, u64::saturating_add);
        let price = |ready: &Ready<'_>| price(boards(&ready.heard.report, ready.replica), thermal);
        fleet.price = sum(&price) / count;
        fleet.micros = sum(&|ready| fleet.told(ready, WHOLE, 0).next) / count;
        fleet
    }

    fn told(&self, ready: &Ready<'_>, slowness: u64, price: u64) -> Told {
        told(&ready.replica.load, ready.heard.age_of_figures(), &self.curve, slowness, price)
    }

    fn candidate(&self, ready: &Ready<'_>) -> Option<Candidate> {
        let Ready { heard, at, replica, rank } = *ready;
        let age = heard.age_of_figures();
        let speed = speed(boards(&heard.report, replica), self.thermal);
        let price = price_by_now(boards(&heard.report, replica), self.thermal, self.price, age);
        let told = self.told(ready, self.curve.slowness(&replica.load, speed), price);
        let next = Duration::from_micros(drifted(told.next, self.micros, WHOLE, age));
        let prospects = Prospects {
            rank,
            age,
            expected: next.saturating_add(silence(age, self.freshest)),
            more: told.more,
        };
        Candidate::new(&heard.report, at, prospects)
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
