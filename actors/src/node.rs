//! The door to a node's actors: start them, read what they publish, shut them down.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use helixflow_env::Env;
use ractor::concurrency::JoinHandle;
use ractor::{Actor, SpawnErr};
use tokio::sync::{mpsc, watch};

use crate::board::{Board, BoardWatch, Clock, Readings};
use crate::channel::{self, BadAddress};
use crate::coordinators::Coordinators;
use crate::host::Host;
use crate::identity::NodeIdentity;
use crate::ledger::{Ledger, LedgerError};
use crate::mailbox::Mailbox;
use crate::reports::Reports;
use crate::roster::Roster;
use crate::supervisor::{Parts, Running, Services, Supervisor, SupervisorMessage, SupervisorPlan};
use crate::tree::{ActorKind, ActorTree};

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
    supervisor: Mailbox<SupervisorMessage<H::Replica>>,
    /// None once it has been seen to end.
    ended: Option<JoinHandle<()>>,
    /// Closes when the last board has let its clock go.
    released: mpsc::Receiver<Infallible>,
    roster: watch::Receiver<Roster<H::Replica>>,
    boards: BoardWatch,
    reports: Reports,
    tree: ActorTree,
}

impl<H: Host> NodeActors<H> {
    /// Starts the supervisor, which starts all others.
    pub async fn start(plan: NodePlan<H>) -> Result<Self, StartError> {
        let NodePlan { identity, coordinators, folder, boards, host, env } = plan;
        let ledger = Ledger::open(Arc::clone(&env.disk), &folder)?;
        let record = ledger.read()?;
        coordinators.iter().try_for_each(|address| channel::check(address))?;
        let coordinators = Coordinators::new(coordinators, record.coordinators.clone());
        let tree = ActorTree::new();
        let station = tree.of(ActorKind::Supervisor, "");
        let depth = station.mailbox.clone();
        let roster = watch::Sender::new(Roster::new());
        let reports = watch::Sender::new(None);
        let readings = watch::Sender::new(Readings::new());
        // Nothing is ever sent: that every sender is gone is the message.
        let (releases, mut released) = mpsc::channel(1);
        let seen = (roster.subscribe(), BoardWatch(readings.subscribe()), Reports(reports.subscribe()));
        let services = Services {
            identity,
            coordinators: watch::Sender::new(coordinators),
            env,
            clocks: boards.into_iter().map(|board| Arc::new(Clock::new(board))).collect(),
            readings,
            alarm: watch::Sender::new(()),
            roster: roster.subscribe(),
            reports,
            releases,
            tree: tree.clone(),
            running: Running::default(),
        };
        let parts = Parts::new(roster, tree.clone());
        let plan = SupervisorPlan { host, ledger, record, parts, services, station };
        let (supervisor, ended) = match Supervisor::<H>::spawn(None, Supervisor::new(), plan).await {
            Ok(started) => started,
            Err(error) => {
                // Boards that had started have been ended, and let their clocks go.
                released.recv().await;
                return Err(error.into());
            }
        };
        let (roster, boards, reports) = seen;
        let supervisor = Mailbox::new(&supervisor, &depth);
        Ok(Self { supervisor, ended: Some(ended), released, roster, boards, reports, tree })
    }

    /// The replica parts, always the latest.
    pub fn roster(&self) -> watch::Receiver<Roster<H::Replica>> {
        self.roster.clone()
    }

    /// How the boards stand.
    pub fn boards(&self) -> BoardWatch {
        self.boards.clone()
    }

    /// The latest report.
    pub fn reports(&self) -> Reports {
        self.reports.clone()
    }

    /// The actors, with what each of them does.
    pub fn tree(&self) -> ActorTree {
        self.tree.clone()
    }

    /// Withdraws every part and lets its streams finish, within a bound; [`Self::ended`] tells when that is done.
    pub fn shut_down(&self) {
        if self.supervisor.send(SupervisorMessage::ShutDown).is_err() {
            tracing::debug!("the supervisor has ended already");
        }
    }

    /// Returns when the actors have ended and every clock is let go, as far as its driver permits: after a shutdown, or
    /// because one of the actors failed too often.
    pub async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            if let Err(error) = ended.await {
                tracing::error!(%error, "the supervisor's task was lost");
            }
            // Whoever stops waiting here may come back.
            self.ended = None;
        }
        self.released.recv().await;
    }
}
