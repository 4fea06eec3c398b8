//! The supervision tree as data: which actors there are, what each does, and how often it had to be started again.
//!
//! Every actor keeps its own [`Station`] up to date, and whoever asks reads them all: no actor is asked, so the tree can
//! be seen while one of them hangs, which is when somebody wants to see it.

mod station;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use station::Station;

/// What an actor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// Obeys the cluster's orders and keeps all others alive.
    Supervisor,
    /// Reads one board and holds its clock.
    Board,
    /// Makes the reports.
    Telemetry,
    /// Sends them to one coordinator.
    Link,
    /// Joins the cluster and takes its orders.
    Membership,
    /// Runs one replica part.
    Shard,
}

impl ActorKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Supervisor, Self::Board, Self::Telemetry, Self::Link, Self::Membership, Self::Shard];

    /// As it is written and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Board => "board",
            Self::Telemetry => "telemetry",
            Self::Link => "link",
            Self::Membership => "membership",
            Self::Shard => "shard",
        }
    }
}

/// Where an actor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorState {
    /// It is not of use yet.
    Starting,
    /// It does its work.
    Running,
    /// It has failed, and is started again after a pause.
    Pausing,
    /// It finishes what it has, then ends.
    Draining,
    /// It has failed too often, or in a way that starting it again does not mend.
    Failed,
}

impl ActorState {
    /// As it is written and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Draining => "draining",
            Self::Failed => "failed",
        }
    }
}

/// How much of a restart budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarts {
    /// Restarts that the window still holds.
    pub spent: usize,
    /// Most that it may hold.
    pub most: usize,
    /// The time over which they are counted, in seconds.
    pub window_seconds: u64,
}

/// One actor and those under it. Fields are added, never renamed: scripts read this as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorReport {
    /// What it is for.
    pub kind: ActorKind,
    /// Which one of its kind; empty where there is one alone.
    pub name: String,
    /// Where it stands.
    pub state: ActorState,
    /// What it does, or why it does not.
    pub doing: String,
    /// For how long it has done that, in milliseconds.
    pub doing_for_ms: u64,
    /// Messages that wait for it.
    pub mailbox: usize,
    /// Its restart budget; none for the supervisor, whose end is the node's.
    pub restarts: Option<Restarts>,
    /// The actors that it supervises.
    pub children: Vec<ActorReport>,
}

impl ActorReport {
    /// It and all under it, parents before children.
    pub fn all(&self) -> Vec<&Self> {
        std::iter::once(self).chain(self.children.iter().flat_map(Self::all)).collect()
    }
}

/// Which actor: the supervisor first, the others by kind and name.
type Place = (ActorKind, String);

/// The actors of a node, always as they stand now.
#[derive(Clone, Debug)]
pub struct ActorTree {
    places: watch::Sender<BTreeMap<Place, Station>>,
    /// From here restart budgets count their time.
    pub(crate) began: Instant,
}

impl ActorTree {
    pub(crate) fn new() -> Self {
        Self { places: watch::Sender::default(), began: Instant::now() }
    }

    /// The station of this actor; the same one for each of its lives.
    pub(crate) fn of(&self, kind: ActorKind, name: &str) -> Station {
        let place = (kind, name.to_owned());
        if let Some(station) = self.places.borrow().get(&place) {
            return station.clone();
        }
        let station = Station::new();
        self.places.send_modify(|places| drop(places.insert(place, station.clone())));
        station
    }

    /// This actor is gone for good.
    pub(crate) fn close(&self, kind: ActorKind, name: &str) {
        self.places.send_modify(|places| drop(places.remove(&(kind, name.to_owned()))));
    }

    /// The whole tree as it stands now. A node has one supervisor, and all others are its children.
    pub fn latest(&self) -> ActorReport {
        let mut supervisor = self.of(ActorKind::Supervisor, "").report(ActorKind::Supervisor, "", self.began);
        let places = self.places.borrow();
        let children = places.iter().filter(|((kind, _), _)| *kind != ActorKind::Supervisor);
        supervisor.children =
            children.map(|((kind, name), station)| station.report(*kind, name, self.began)).collect();
        supervisor
    }
}
