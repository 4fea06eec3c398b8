//! The door to a node's actors: start them, read what they publish, shut them down.

use std::path::PathBuf;
use std::sync::Arc;

use helixflow_env::Env;
use helixflow_model::NodeReport;
use ractor::concurrency::JoinHandle;
use ractor::{Actor, ActorRef, SpawnErr};
use tokio::sync::watch;

use crate::board::{Board, Readings};
use crate::channel::{self, BadAddress};
use crate::coordinators::Coordinators;
use crate::host::Host;
use crate::identity::NodeIdentity;
use crate::ledger::{Ledger, LedgerError};
use crate::roster::Roster;
use crate::supervisor::{Parts, Running, Services, Supervisor, SupervisorMessage, SupervisorPlan};

/// Everything that a node's actors are made of.
pub struct NodePlan<H: Host> {
    /// Who this node is.
    pub identity: NodeIdentity,
    /// The coordinators to begin with, `host:port` each, at least one; the cluster tells of the others.
    pub coordinators: Vec<String>,
    /// The folder in which the node keeps what it has accepted.
    pub folder: PathBuf,
    /// The devices.
    pub boards: Vec<Arc<dyn Board>>,
    /// What brings replica parts to life.
    pub host: Arc<H>,
    /// The world outside.
    pub env: Env,
}

/// Why the actors cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What was accepted cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A coordinator's address is none.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// An actor failed as it started.
    #[error("the node's actors cannot start")]
    Actors(#[from] SpawnErr),
}

/// The running actors of a node.
pub struct NodeActors<H: Host> {
    supervisor: ActorRef<SupervisorMessage<H::Replica>>,
    ended: JoinHandle<()>,
    roster: watch::Receiver<Roster<H::Replica>>,
    reports: watch::Receiver<Option<NodeReport>>,
}

impl<H: Host> NodeActors<H> {
    /// Starts the supervisor, which starts all others.
    pub async fn start(plan: NodePlan<H>) -> Result<Self, StartError> {
        let NodePlan { identity, coordinators, folder, boards, host, env } = plan;
        let ledger = Ledger::open(Arc::clone(&env.disk), &folder)?;
        let record = ledger.read()?;
        coordinators.iter().try_for_each(|address| channel::check(address))?;
        let coordinators = Coordinators::new(coordinators, record.coordinators.clone());
        let roster = watch::Sender::new(Roster::new());
        let reports = watch::Sender::new(None);
        let (roster_view, report_view) = (roster.subscribe(), reports.subscribe());
        let services = Services {
            identity,
            coordinators: watch::Sender::new(coordinators),
            env,
            boards,
            readings: watch::Sender::new(Readings::new()),
            roster: roster.subscribe(),
            reports,
            running: Running::default(),
        };
        let plan = SupervisorPlan { host, ledger, record, parts: Parts::new(roster), services };
        let (supervisor, ended) = Supervisor::<H>::spawn(None, Supervisor::new(), plan).await?;
        Ok(Self { supervisor, ended, roster: roster_view, reports: report_view })
    }

    /// The replica parts, always the latest.
    pub fn roster(&self) -> watch::Receiver<Roster<H::Replica>> {
        self.roster.clone()
    }

    /// The latest report; none before the node has joined.
    pub fn reports(&self) -> watch::Receiver<Option<NodeReport>> {
        self.reports.clone()
    }

    /// Withdraws every part and lets its streams finish, within a bound; [`Self::ended`] tells when that is done.
    pub fn shut_down(&self) {
        if self.supervisor.cast(SupervisorMessage::ShutDown).is_err() {
            tracing::debug!("the supervisor has ended already");
        }
    }

    /// Returns when the actors have ended: after a shutdown, or because one of them failed too often.
    pub async fn ended(&mut self) {
        if let Err(error) = (&mut self.ended).await {
            tracing::error!(%error, "the supervisor's task was lost");
        }
    }
}
