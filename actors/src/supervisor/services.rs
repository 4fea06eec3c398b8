//! The services of a node: boards, telemetry, links and membership. Each is restarted within its budget; one that
//! spends it ends the node, so that whoever started the process sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use helixflow_control::{Backoff, Restart, RestartBudget, RestartPolicy};
use helixflow_env::Env;
use helixflow_model::{NodeId, NodeReport};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef};
use tokio::sync::watch;

use super::SupervisorMessage;
use crate::board::{Board, BoardActor, BoardState, Readings};
use crate::channel;
use crate::coordinators::Coordinators;
use crate::host::Replica;
use crate::identity::NodeIdentity;
use crate::link::{Link, LinkState};
use crate::membership::{Membership, MembershipState};
use crate::roster::Roster;
use crate::telemetry::{Telemetry, TelemetryMessage, TelemetryState};

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
    pub(crate) boards: Vec<Arc<dyn Board>>,
    pub(crate) readings: watch::Sender<Readings>,
    pub(crate) roster: watch::Receiver<Roster<R>>,
    pub(crate) reports: watch::Sender<Option<NodeReport>>,
    pub(crate) running: Running,
}

/// The actors that run.
#[derive(Default)]
pub(crate) struct Running {
    children: BTreeMap<ActorId, Service>,
    budgets: BTreeMap<Service, RestartBudget>,
    telemetry: Option<ActorRef<TelemetryMessage>>,
    /// By their coordinators' addresses.
    links: BTreeMap<String, ActorCell>,
}

impl<R: Replica> Services<R> {
    /// Starts every service.
    pub(super) async fn start_all(
        &mut self,
        myself: &ActorRef<SupervisorMessage<R>>,
        node: Option<NodeId>,
    ) -> Result<(), ActorProcessingErr> {
        let boards = (0..self.boards.len()).map(Service::Board);
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
        myself: &ActorRef<SupervisorMessage<R>>,
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
        myself: &ActorRef<SupervisorMessage<R>>,
        node: Option<NodeId>,
    ) -> Result<Option<ActorCell>, ActorProcessingErr> {
        let state = TelemetryState {
            identity: self.identity.clone(),
            node,
            readings: self.readings.subscribe(),
            roster: self.roster.clone(),
            reports: self.reports.clone(),
            reported: None,
        };
        let (actor, _) = Telemetry::spawn_linked(None, Telemetry::new(), state, myself.get_cell()).await?;
        self.running.telemetry = Some(actor.clone());
        Ok(Some(actor.get_cell()))
    }

    async fn start_membership(
        &self,
        myself: &ActorRef<SupervisorMessage<R>>,
    ) -> Result<Option<ActorCell>, ActorProcessingErr> {
        let state = MembershipState {
            identity: self.identity.clone(),
            coordinators: self.coordinators.subscribe(),
            news: myself.get_derived(),
            env: self.env.clone(),
            attempts: 0,
            failures: 0,
        };
        let (actor, _) = Membership::spawn_linked(None, Membership, state, myself.get_cell()).await?;
        Ok(Some(actor.get_cell()))
    }

    async fn start_board(
        &self,
        myself: &ActorRef<SupervisorMessage<R>>,
        index: usize,
    ) -> Result<Option<ActorCell>, ActorProcessingErr> {
        let Some(board) = self.boards.get(index) else { return Ok(None) };
        let state = BoardState { board: Arc::clone(board), readings: self.readings.clone() };
        let (actor, _) = BoardActor::spawn_linked(None, BoardActor, state, myself.get_cell()).await?;
        Ok(Some(actor.get_cell()))
    }

    /// One that runs already, or that was closed while it paused, is not started.
    async fn start_link(
        &mut self,
        myself: &ActorRef<SupervisorMessage<R>>,
        address: &str,
    ) -> Result<Option<ActorCell>, ActorProcessingErr> {
        let is_wanted = self.coordinators.borrow().to_report_to().contains(address);
        if !is_wanted || self.running.links.contains_key(address) {
            return Ok(None);
        }
        let state = LinkState {
            address: address.to_owned(),
            channel: channel::open(&self.env, &self.identity.cluster, address)?,
            reports: self.reports.subscribe(),
            env: self.env.clone(),
            failures: 0,
        };
        let (actor, _) = Link::spawn_linked(None, Link, state, myself.get_cell()).await?;
        self.running.links.insert(address.to_owned(), actor.get_cell());
        Ok(Some(actor.get_cell()))
    }

    /// Takes in whom the cluster names: opens the links that are missing, and closes those to others.
    pub(super) async fn report_to(
        &mut self,
        myself: &ActorRef<SupervisorMessage<R>>,
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
        let running = &mut self.running;
        running.links.retain(|address, link| {
            let keep = wanted.contains(address);
            if !keep {
                tracing::info!(coordinator = %address, "is no coordinator of the cluster any more; it gets no reports");
                // Its end is no failure.
                running.children.remove(&link.get_id());
                running.budgets.remove(&Service::Link(address.clone()));
                link.kill();
            }
            keep
        });
    }

    /// Schedules the restart of a service that has ended at `now`, the time since the supervisor began.
    pub(super) fn ended(
        &mut self,
        myself: &ActorRef<SupervisorMessage<R>>,
        child: ActorId,
        reason: &str,
        now: Duration,
    ) -> Result<(), GivenUp> {
        let Some(service) = self.running.children.remove(&child) else { return Ok(()) };
        if let Service::Link(address) = &service {
            self.running.links.remove(address);
        }
        let budget = self.running.budgets.entry(service.clone());
        match budget.or_insert_with(|| RestartBudget::new(SERVICE_RESTARTS)).decide(now) {
            Restart::After(pause) => {
                tracing::error!(?service, reason, ?pause, "a service has failed and is restarted");
                myself.send_after(pause, move || SupervisorMessage::Restart(service));
                Ok(())
            }
            Restart::Spent(_) => Err(GivenUp { service, reason: reason.to_owned() }),
        }
    }

    /// Tells the telemetry actor, if one runs; one that is being restarted reads everything afresh.
    pub(super) fn tell(&self, message: TelemetryMessage) {
        if let Some(telemetry) = &self.running.telemetry
            && telemetry.cast(message).is_err()
        {
            tracing::debug!("the telemetry actor is being restarted");
        }
    }
}
