//! The telemetry actor: makes a report of the latest readings and seats, four times a second while they change and once
//! a second while they do not; at once when a seat changes its phase.
//!
//! The latest report wins: links take it from a [`watch`] when they have room for it.

use std::time::Duration;

use helixflow_model::{BoardReport, NodeId, NodeReport, ReplicaReport};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::board::Readings;
use crate::host::Replica;
use crate::identity::NodeIdentity;
use crate::roster::{Roster, Seat};

/// Routing looks at queues that are at most this old, the way not included.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A node that has nothing new to say still says that it lives.
const REPORT_EVERY: Duration = Duration::from_secs(1);

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
    /// A seat has changed its phase.
    Changed,
    /// The cluster has given this node an id; until then there is nobody to report as.
    Joined(NodeId),
}

pub(crate) struct TelemetryState<R> {
    pub(crate) identity: NodeIdentity,
    pub(crate) node: Option<NodeId>,
    pub(crate) readings: watch::Receiver<Readings>,
    pub(crate) roster: watch::Receiver<Roster<R>>,
    pub(crate) reports: watch::Sender<Option<NodeReport>>,
    /// When the latest was made.
    pub(crate) reported: Option<Instant>,
}

impl<R: Replica> Actor for Telemetry<R> {
    type Msg = TelemetryMessage;
    type State = TelemetryState<R>;
    type Arguments = TelemetryState<R>;

    async fn pre_start(
        &self,
        myself: ActorRef<TelemetryMessage>,
        state: TelemetryState<R>,
    ) -> Result<TelemetryState<R>, ActorProcessingErr> {
        myself.cast(TelemetryMessage::Tick)?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<TelemetryMessage>,
        message: TelemetryMessage,
        state: &mut TelemetryState<R>,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TelemetryMessage::Tick => {
                myself.send_after(LOOK_EVERY, || TelemetryMessage::Tick);
                if !state.is_due() {
                    return Ok(());
                }
            }
            TelemetryMessage::Changed => {}
            TelemetryMessage::Joined(node) => state.node = Some(node),
        }
        state.publish();
        Ok(())
    }
}

impl<R: Replica> TelemetryState<R> {
    /// Whether there is something new to say, or nothing was said for long.
    fn is_due(&self) -> bool {
        self.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY)
            || self.reports.borrow().as_ref().is_none_or(|latest| {
                !same(&latest.boards, &self.boards()) || latest.replicas != self.replicas()
            })
    }

    fn publish(&mut self) {
        let Some(node) = self.node else { return };
        let NodeIdentity { region, advertise, .. } = self.identity.clone();
        let (boards, replicas) = (self.boards(), self.replicas());
        self.reports.send_modify(|latest| {
            // A telemetry actor that was restarted goes on counting where the one before left off.
            let sequence = latest.as_ref().map_or(1, |report| report.sequence + 1);
            let age = Duration::ZERO;
            *latest = Some(NodeReport { node, region, advertise, sequence, age, boards, replicas });
        });
        self.reported = Some(Instant::now());
    }

    fn boards(&self) -> Vec<BoardReport> {
        let now = Instant::now();
        self.readings.borrow().values().map(|taken| taken.report(now)).collect()
    }

    fn replicas(&self) -> Vec<ReplicaReport> {
        self.roster.borrow().values().map(Seat::report).collect()
    }
}

/// Whether boards say the same, however old it is.
fn same(before: &[BoardReport], now: &[BoardReport]) -> bool {
    let essence = |report: &BoardReport| BoardReport { age: Duration::ZERO, ..report.clone() };
    before.len() == now.len() && before.iter().zip(now).all(|(one, other)| essence(one) == essence(other))
}
