//! The telemetry actor: makes a report of the latest readings and seats, four times a second while they change and once
//! a second while they do not; at once when a seat changes its phase, or a board its band or duty.
//!
//! The latest report wins: links take it from a [`watch`] when they have room for it.

use std::collections::BTreeMap;
use std::time::Duration;

use helixflow_control::LoadEstimate;
use helixflow_model::{BoardReport, Fence, NodeId, NodeReport, ReplicaReport};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::board::Readings;
use crate::host::Replica;
use crate::identity::NodeIdentity;
use crate::mailbox::Letter;
use crate::reports::Made;
use crate::roster::{Roster, Seat};
use crate::tree::Station;

/// Routing looks at queues that are at most this old, the way not included.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A node that has nothing new to say still says that it lives.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// What it does before and after the node has joined.
const WAITS: &str = "waits for the cluster to give this node an id";
const REPORTS: &str = "makes reports";

/// Makes reports of seats with replicas of type `R`.
pub(crate) struct Telemetry<R>(std::marker::PhantomData<fn() -> R>);

impl<R> Telemetry<R> {
    pub(crate) const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// What makes it report.
pub(crate) enum TelemetryMessage {
    /// Time has passed.
    Tick,
    /// A seat has changed its phase, or a board what it may be used for: this is reported at once.
    Changed,
    /// The cluster has given this node an id; until then there is nobody to report as.
    Joined(NodeId),
}

pub(crate) struct TelemetryState<R> {
    pub(crate) identity: NodeIdentity,
    pub(crate) node: Option<NodeId>,
    pub(crate) readings: watch::Receiver<Readings>,
    pub(crate) roster: watch::Receiver<Roster<R>>,
    pub(crate) reports: watch::Sender<Option<Made>>,
    pub(crate) station: Station,
    /// When this actor began, and the load of each replica since.
    pub(crate) began: Instant,
    pub(crate) loads: BTreeMap<Fence, LoadEstimate>,
}

impl<R: Replica> Actor for Telemetry<R> {
    type Msg = Letter<TelemetryMessage>;
    type State = TelemetryState<R>;
    type Arguments = TelemetryState<R>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: TelemetryState<R>,
    ) -> Result<TelemetryState<R>, ActorProcessingErr> {
        let words = if state.node.is_some() { REPORTS } else { WAITS };
        state.station.runs(words);
        myself.cast(state.station.mailbox.letter(TelemetryMessage::Tick))?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        letter: Self::Msg,
        state: &mut TelemetryState<R>,
    ) -> Result<(), ActorProcessingErr> {
        match letter.open() {
            TelemetryMessage::Tick => {
                let mailbox = state.station.mailbox.clone();
                myself.send_after(LOOK_EVERY, move || mailbox.letter(TelemetryMessage::Tick));
                state.look(false);
            }
            TelemetryMessage::Changed => state.look(true),
            TelemetryMessage::Joined(node) => {
                state.node = Some(node);
                state.station.runs(REPORTS);
                state.look(true);
            }
        }
        Ok(())
    }
}

impl<R: Replica> TelemetryState<R> {
    /// Takes in how everything stands, and reports it: at once where that is urgent, else where there is something new to
    /// say, or nothing was said for long.
    fn look(&mut self, urgent: bool) {
        let now = Instant::now();
        let (boards, replicas) = (self.boards(now), self.replicas(now));
        let Some(node) = self.node else { return };
        let is_due = self.reports.borrow().as_ref().is_none_or(|Made { report, at }| {
            now.saturating_duration_since(*at) >= REPORT_EVERY
                || !same(&report.boards, &boards)
                || report.replicas != replicas
        });
        if !(urgent || is_due) {
            return;
        }
        let NodeIdentity { region, advertise, .. } = self.identity.clone();
        self.reports.send_modify(|latest| {
            // A telemetry actor that was restarted goes on counting where the one before left off.
            let sequence = latest.as_ref().map_or(1, |made| made.report.sequence + 1);
            let age = Duration::ZERO;
            let report = NodeReport { node, region, advertise, sequence, age, boards, replicas };
            *latest = Some(Made { report, at: now });
        });
    }

    fn boards(&self, now: Instant) -> Vec<BoardReport> {
        self.readings.borrow().values().map(|taken| taken.report(now)).collect()
    }

    /// The replicas, their load smoothed.
    fn replicas(&mut self, now: Instant) -> Vec<ReplicaReport> {
        let since = now.saturating_duration_since(self.began);
        let roster = self.roster.borrow();
        // A generation that no longer runs takes its past with it.
        self.loads.retain(|fence, _| roster.values().any(|seat| seat.runs(*fence)));
        let smoothed = |seat: &Seat<R>| {
            let mut report = seat.report();
            if seat.runs(report.fence) {
                report.load = self.loads.entry(report.fence).or_default().take(report.load, since);
            }
            report
        };
        roster.values().map(smoothed).collect()
    }
}

/// Whether boards say the same, however old it is.
fn same(before: &[BoardReport], now: &[BoardReport]) -> bool {
    let essence = |report: &BoardReport| BoardReport { age: Duration::ZERO, ..report.clone() };
    before.len() == now.len() && before.iter().zip(now).all(|(one, other)| essence(one) == essence(other))
}
