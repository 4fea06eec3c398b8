//! The services of a node: boards, telemetry, links and membership. Each is restarted within its budget; one that
//! spends it ends the node, so that whoever started the process sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use helixflow_control::{Backoff, Restart, RestartBudget, RestartPolicy};
use helixflow_env::Env;
use helixflow_model::NodeId;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Myself, SupervisorMessage};
use crate::board::{Alarm, BoardActor, BoardPlan, Clock, RELEASE_LIMIT, Readings, Releases};
use crate::channel;
use crate::coordinators::Coordinators;
use crate::host::Replica;
use crate::identity::NodeIdentity;
use crate::link::{Link, LinkState};
use crate::mailbox::Mailbox;
use crate::membership::{Membership, MembershipState};
use crate::reports::Made;
use crate::roster::Roster;
use crate::telemetry::{Telemetry, TelemetryMessage, TelemetryState};
use crate::tree::{ActorKind, ActorState, ActorTree, Station};

/// None of these fails in the ordinary course of things: broken connections and late devices are handled inside. Ten
/// failures a minute are a fault of the program.
const SERVICE_RESTARTS: RestartPolicy = RestartPolicy {
    most: 10,
    window: Duration::from_secs(60),
    backoff: Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) },
};

/// Which service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Telemetry,
    Membership,
    /// By its place in the list of boards.
    Board(usize),
    /// By its coordinator's address.
    Link(String),
}

/// A service has spent its restart budget.
#[derive(Debug, thiserror::Error)]
#[error("{service:?} has failed too often, the last time because: {reason}; the node ends, restart it")]
pub(crate) struct GivenUp {
    service: Service,
    reason: String,
}

/// The services, and all that they are made of.
pub(crate) struct Services<R> {
    pub(crate) identity: NodeIdentity,
    pub(crate) coordinators: watch::Sender<Coordinators>,
    pub(crate) env: Env,
    pub(crate) clocks: Vec<Arc<Clock>>,
    pub(crate) readings: watch::Sender<Readings>,
    pub(crate) alarm: Alarm,
    pub(crate) roster: watch::Receiver<Roster<R>>,
    pub(crate) reports: watch::Sender<Option<Made>>,
    pub(crate) releases: Releases,
    pub(crate) tree: ActorTree,
    pub(crate) running: Running,
}

/// The actors that run.
#[derive(Default)]
pub(crate) struct Running {
    children: BTreeMap<ActorId, Service>,
    budgets: BTreeMap<Service, RestartBudget>,
    telemetry: watch::Sender<Option<Mailbox<TelemetryMessage>>>,
    /// By their places in the list of boards.
    boards: BTreeMap<usize, ActorCell>,
    /// By their coordinators' addresses.
    links: BTreeMap<String, ActorCell>,
}

impl<R: Replica> Services<R> {
    /// Starts every service.
    pub(super) async fn start_all(
        &mut self,
        myself: &Myself<R>,
        node: Option<NodeId>,
    ) -> Result<(), ActorProcessingErr> {
        let boards = (0..self.clocks.len()).map(Service::Board);
        let links = self.coordinators.borrow().to_report_to().into_iter().map(Service::Link);
        let all: Vec<Service> =
            boards.chain([Service::Telemetry]).chain(links).chain([Service::Membership]).collect();
        for service in all {
            self.start(myself, service, node).await?;
        }
        Ok(())
    }

    /// Starts one service.
    pub(super) async fn start(
        &mut self,
        myself: &Myself<R>,
        service: Service,
        node: Option<NodeId>,
    ) -> Result<(), ActorProcessingErr> {
        let started = match &service {
            Service::Telemetry => self.start_telemetry(myself, node).await?,
            Service::Membership => self.start_membership(myself).await?,
            Service::Board(index) => self.start_board(myself, *index).await?,
            Service::Link(address) => self.start_link(myself, address).await?,
        };
        if let Some(child) = started {
            self.running.children.insert(child.get_id(), service);
        }
        Ok(())
    }

    async fn start_telemetry(
        &mut self,
        myself: &Myself<R>,
        node: Option<NodeId>,
    ) -> Result<Option<ActorCell>, ActorProcessingErr> {
        let state = TelemetryState {
            identity: self.identity.clone(),
            node,
            readings: self.readings.subscribe(),
            roster: self.roster.clone(),
            reports: self.reports.clone(),
            station: self.station(&Service::Telemetry),
            began: Instant::now(),
            loads: BTreeMap::new(),
        };
        let depth = state.station.mailbox.clone();
        let (actor, _) = Telemetry::spawn_linked(None, Telemetry::new(), state, myself.get_cell()).await?;
        self.running.telemetry.send_replace(Some(Mailbox::new(&actor, &depth)));
        Ok(Some(actor.get_cell()))
    }

    async fn start_membership(&self, myself: &Myself<R>) -> Result<Option<ActorCell>, ActorProcessingErr> {
        let state = MembershipState {
            identity: self.identity.clone(),
            coordinators: self.coordinators.subscribe(),
            news: Mailbox::new(myself, &self.tree.of(ActorKind::Supervisor, "").mailbox),
            env: self.env.clone(),
            attempts: 0,
            failures: 0,
            station: self.station(&Service::Membership),
        };
        let (actor, _) = Membership::spawn_linked(None, Membership, state, myself.get_cell()).await?;
        Ok(Some(actor.get_cell()))
    }

    async fn start_board(
        &mut self,
        myself: &Myself<R>,
        index: usize,
    ) -> Result<Option<ActorCell>, ActorProcessingErr> {
        let Some(clock) = self.clocks.get(index) else { return Ok(None) };
        let plan = BoardPlan {
            clock: Arc::clone(clock),
            releases: self.releases.clone(),
            readings: self.readings.clone(),
            roster: self.roster.clone(),
            alarm: self.alarm.clone(),
            telemetry: self.running.telemetry.subscribe(),
            station: self.station(&Service::Board(index)),
        };
        let (actor, _) = BoardActor::spawn_linked(None, BoardActor::new(), plan, myself.get_cell()).await?;
        self.running.boards.insert(index, actor.get_cell());
        Ok(Some(actor.get_cell()))
    }

    /// One that runs already, or that was closed while it paused, is not started.
    async fn start_link(
        &mut self,
        myself: &Myself<R>,
        address: &str,
    ) -> Result<Option<ActorCell>, ActorProcessingErr> {
        if !self.coordinators.borrow().to_report_to().contains(address) {
            self.tree.close(ActorKind::Link, address);
            return Ok(None);
        }
        if self.running.links.contains_key(address) {
            return Ok(None);
        }
        let state = LinkState {
            address: address.to_owned(),
            channel: channel::open(&self.env, &self.identity.cluster, address)?,
            reports: self.reports.subscribe(),
            env: self.env.clone(),
            failures: 0,
            station: self.station(&Service::Link(address.to_owned())),
        };
        let (actor, _) = Link::spawn_linked(None, Link, state, myself.get_cell()).await?;
        self.running.links.insert(address.to_owned(), actor.get_cell());
        Ok(Some(actor.get_cell()))
    }

    /// Takes in whom the cluster names: opens the links that are missing, and closes those to others.
    pub(super) async fn report_to(
        &mut self,
        myself: &Myself<R>,
        told: Vec<String>,
    ) -> Result<(), ActorProcessingErr> {
        let known = self.coordinators.borrow().told(told);
        let wanted = known.to_report_to();
        self.coordinators.send_if_modified(|now| {
            let news = *now != known;
            *now = known;
            news
        });
        self.close_links_except(&wanted);
        for address in wanted {
            self.start(myself, Service::Link(address), None).await?;
        }
        Ok(())
    }

    fn close_links_except(&mut self, wanted: &BTreeSet<String>) {
        let (running, tree) = (&mut self.running, &self.tree);
        running.links.retain(|address, link| {
            let keep = wanted.contains(address);
            if !keep {
                tracing::info!(coordinator = %address, "is no coordinator of the cluster any more; it gets no reports");
                // Its end is no failure.
                running.children.remove(&link.get_id());
                running.budgets.remove(&Service::Link(address.clone()));
                tree.close(ActorKind::Link, address);
                link.kill();
            }
            keep
        });
    }

    /// Schedules the restart of a service that has ended, unless it has spent its budget.
    pub(super) fn ended(&mut self, myself: &Myself<R>, child: ActorId, reason: &str) -> Result<(), GivenUp> {
        let Some(service) = self.running.children.remove(&child) else { return Ok(()) };
        match &service {
            Service::Link(address) => drop(self.running.links.remove(address)),
            Service::Board(index) => drop(self.running.boards.remove(index)),
            Service::Telemetry => drop(self.running.telemetry.send_replace(None)),
            Service::Membership => {}
        }
        let station = self.station(&service);
        let budget = self.running.budgets.entry(service.clone());
        let budget = budget.or_insert_with(|| RestartBudget::new(SERVICE_RESTARTS));
        let decision = budget.decide(self.tree.began.elapsed());
        station.spends(budget);
        match decision {
            Restart::After(pause) => {
                tracing::error!(?service, reason, ?pause, "a service has failed and is restarted");
                station.set(
                    ActorState::Pausing,
                    format!("is started again after {pause:?}; it failed: {reason}"),
                );
                let mailbox = self.tree.of(ActorKind::Supervisor, "").mailbox;
                myself.send_after(pause, move || mailbox.letter(SupervisorMessage::Restart(service)));
                Ok(())
            }
            Restart::Spent(_) => {
                station.set(ActorState::Failed, format!("failed too often: {reason}"));
                Err(GivenUp { service, reason: reason.to_owned() })
            }
        }
    }

    /// Ends the boards in an orderly way: each lets its clock go first. One that takes too long is ended with its
    /// supervisor, and its guard goes on trying.
    pub(super) async fn stop_boards(&mut self) {
        let boards = std::mem::take(&mut self.running.boards);
        let stops = boards.values().map(|board| board.stop_and_wait(None, Some(RELEASE_LIMIT)));
        for late in join_all(stops).await.into_iter().filter_map(Result::err) {
            tracing::warn!(%late, "a board did not end in time");
        }
    }

    /// Where a service shows what it does.
    fn station(&self, service: &Service) -> Station {
        let (kind, name) = match service {
            Service::Telemetry => (ActorKind::Telemetry, String::new()),
            Service::Membership => (ActorKind::Membership, String::new()),
            Service::Board(index) => {
                let board = self.clocks.get(*index).map(|clock| clock.board().to_string());
                (ActorKind::Board, board.unwrap_or_default())
            }
            Service::Link(address) => (ActorKind::Link, address.clone()),
        };
        let station = self.tree.of(kind, &name);
        let budget = self.running.budgets.get(service).cloned();
        station.spends(&budget.unwrap_or_else(|| RestartBudget::new(SERVICE_RESTARTS)));
        station
    }

    /// Tells the telemetry actor, if one runs; one that is being restarted reads everything afresh.
    pub(super) fn tell(&self, message: TelemetryMessage) {
        if let Some(telemetry) = &*self.running.telemetry.borrow()
            && telemetry.send(message).is_err()
        {
            tracing::debug!("the telemetry actor is being restarted");
        }
    }
}
