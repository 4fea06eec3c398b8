//! From processes to a cluster that answers: coordinators, bootstrap, nodes, model, replicas.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use helixflow_client::{Client, ClientOptions};
use helixflow_env::Env;
use helixflow_model::ModelSpec;
use helixflow_proto::v1::{NodeStatus, ReplicaPhase, StatusResponse};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::board::{Board, READY, Step};
use super::layout::Layout;
use super::supervisor::Supervisor;

/// How often the cluster is asked how far it is.
const POLL: Duration = Duration::from_millis(50);
/// How long coordinators may take to answer, and to elect a leader: seconds even on a machine with other work.
const QUORUM_PATIENCE: Duration = Duration::from_secs(60);
/// How long a node may take to join.
const JOIN_PATIENCE: Duration = Duration::from_secs(60);
/// How long the replicas may stay without any progress.
const READY_PATIENCE: Duration = Duration::from_secs(120);
/// How long one question may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// A cluster that is being started.
struct Start {
    layout: Layout,
    board: Board,
    /// Calls whichever coordinator answers.
    any: Client,
    /// One client for each coordinator.
    each: Vec<Client>,
    /// Indexes of the coordinators without which the cluster goes on: nobody waits for them.
    left: watch::Receiver<BTreeSet<usize>>,
}

/// A process that a step waits for in vain, by its index, and what it does not do.
struct Silent(usize, &'static str);

/// Starts every process and waits until every replica answers through every coordinator that is a member; tells what the
/// cluster warns of.
pub(crate) async fn run(
    env: &Env,
    model: &ModelSpec,
    supervisor: &mut Supervisor,
) -> anyhow::Result<Vec<String>> {
    let start = Start::new(env, supervisor.layout(), supervisor.left())?;
    let coordinators = start.layout.coordinators.len();
    for index in 0..coordinators {
        supervisor.start(index);
    }
    start.unless_broken(supervisor, start.all_answer()).await?;
    start.unless_broken(supervisor, start.form_quorum()).await?;
    for (number, seat) in start.layout.nodes.iter().enumerate() {
        // One after the other, so that the ids that the log allots agree with the names.
        supervisor.start(coordinators + number);
        start.unless_broken(supervisor, start.joined(coordinators + number, &seat.grpc)).await?;
    }
    start.unless_broken(supervisor, start.add_model(model)).await?;
    start.unless_broken(supervisor, start.replicas_ready()).await?;
    start.board.finish();
    Ok(start.any.status().await?.warnings)
}

/// How a step of the start failed.
enum Stuck {
    Silent(Silent),
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Stuck {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl Start {
    fn new(env: &Env, layout: &Layout, left: watch::Receiver<BTreeSet<usize>>) -> anyhow::Result<Self> {
        let names: Vec<String> = layout.seats().into_iter().map(|seat| seat.name).collect();
        let endpoints = layout.endpoints();
        let client =
            |addresses: &[String]| Client::new(env, addresses, ClientOptions { timeout: Some(CALL_TIMEOUT) });
        let each: Result<Vec<Client>, _> =
            endpoints.iter().map(|one| client(std::slice::from_ref(one))).collect();
        let (board, any) = (Board::new(&names), client(&endpoints)?);
        Ok(Self { layout: layout.clone(), board, any, each: each?, left })
    }

    /// Takes a step, and gives it up when a process cannot be kept up.
    async fn unless_broken(
        &self,
        supervisor: &mut Supervisor,
        step: impl Future<Output = Result<(), Stuck>>,
    ) -> anyhow::Result<()> {
        let done = tokio::select! {
            done = step => done,
            error = supervisor.fails_to_start(&self.board) => Err(Stuck::Failed(error)),
        };
        match done {
            Ok(()) => Ok(()),
            Err(Stuck::Failed(error)) => Err(error),
            Err(Stuck::Silent(Silent(index, what))) => Err(supervisor.given_up(index, what)),
        }
    }

    async fn all_answer(&self) -> Result<(), Stuck> {
        for (index, client) in self.each.iter().enumerate() {
            let answers = until(async || self.has_left(index) || client.status().await.is_ok());
            timeout(QUORUM_PATIENCE, answers)
                .await
                .map_err(|_| Stuck::Silent(Silent(index, "does not answer")))?;
            self.say_unless_left(index, "answers");
        }
        Ok(())
    }

    fn has_left(&self, index: usize) -> bool {
        self.left.borrow().contains(&index)
    }

    fn say_unless_left(&self, index: usize, phase: &str) {
        if !self.has_left(index) {
            self.board.say(index, Step::new(phase));
        }
    }

    async fn form_quorum(&self) -> Result<(), Stuck> {
        self.bootstrap().await?;
        for (index, client) in self.each.iter().enumerate() {
            let knows_leader = until(async || {
                let is_led = |status: StatusResponse| status.leader != 0 && status.applied_index > 0;
                self.has_left(index) || client.status().await.is_ok_and(is_led)
            });
            let elected = timeout(QUORUM_PATIENCE, knows_leader).await;
            elected.map_err(|_| Stuck::Silent(Silent(index, "knows no leader")))?;
            self.say_unless_left(index, READY);
        }
        Ok(())
    }

    /// Makes the first members. A cluster that comes back has some already, perhaps others than it began with.
    async fn bootstrap(&self) -> anyhow::Result<()> {
        let known = self.any.status().await.context("asking who the members are")?.coordinators;
        let raft = self.layout.coordinators.iter().map(|seat| seat.raft.clone()).collect();
        match self.any.bootstrap(raft).await {
            Err(error) if known.is_empty() => Err(error).context("making the cluster's first members"),
            _ => Ok(()),
        }
    }

    async fn joined(&self, index: usize, address: &str) -> Result<(), Stuck> {
        let joined = until(async || {
            let status = self.any.status().await;
            status.is_ok_and(|status| status.nodes.iter().any(|node| node.advertise == address))
        });
        timeout(JOIN_PATIENCE, joined).await.map_err(|_| Stuck::Silent(Silent(index, "does not join")))?;
        self.board.say(index, Step::new("joined"));
        Ok(())
    }

    async fn add_model(&self, model: &ModelSpec) -> Result<(), Stuck> {
        self.any.add_model(model.clone().into()).await.with_context(|| format!("adding {}", model.id))?;
        Ok(())
    }

    /// Waits until every coordinator has heard of a ready replica wherever one is placed.
    async fn replicas_ready(&self) -> Result<(), Stuck> {
        let (mut seen, mut moved) = (Vec::new(), Instant::now());
        loop {
            let mut views = Vec::new();
            let stay = self.each.iter().enumerate().filter(|(index, _)| !self.has_left(*index));
            for (_, client) in stay {
                views.push(client.status().await.ok());
            }
            let steps: Vec<Vec<Step>> = views.iter().flatten().map(|status| self.steps(status)).collect();
            for (number, step) in steps.first().into_iter().flatten().enumerate() {
                self.board.say(self.layout.coordinators.len() + number, step.clone());
            }
            if views.iter().all(|view| view.as_ref().is_some_and(all_placed_are_ready)) {
                return Ok(());
            }
            if seen != steps {
                (seen, moved) = (steps, Instant::now());
            }
            if moved.elapsed() > READY_PATIENCE {
                return Err(Stuck::Silent(self.slowest(&seen)));
            }
            sleep(POLL).await;
        }
    }

    /// What each node does, as one coordinator knows it.
    fn steps(&self, status: &StatusResponse) -> Vec<Step> {
        self.layout.nodes.iter().map(|seat| step_of(status, &seat.grpc)).collect()
    }

    /// Whom the others wait for: a node that some coordinator does not know to be ready, or else a coordinator.
    fn slowest(&self, views: &[Vec<Step>]) -> Silent {
        let node = views.iter().filter_map(|steps| steps.iter().position(|step| step.phase != READY)).min();
        match node {
            Some(number) => Silent(self.layout.coordinators.len() + number, "makes no progress"),
            None => Silent(0, "does not hear of ready replicas"),
        }
    }
}

/// Asks again and again until it holds.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    while !holds().await {
        sleep(POLL).await;
    }
}

fn step_of(status: &StatusResponse, address: &str) -> Step {
    let Some(node) = status.nodes.iter().find(|node| node.advertise == address) else {
        return Step::new("joining");
    };
    let Some(replica) = node.replicas.first() else { return Step::new("joined") };
    let phase = replica.phase().as_str_name().trim_start_matches("REPLICA_PHASE_").to_lowercase();
    Step { phase, detail: replica.detail.clone() }
}

/// Every replica that the log places is reported ready, and there is at least one.
fn all_placed_are_ready(status: &StatusResponse) -> bool {
    let ready = |node: &NodeStatus, replica: u64| {
        node.replicas
            .iter()
            .any(|r| r.fence.is_some_and(|f| f.replica == replica) && r.phase() == ReplicaPhase::Ready)
    };
    let placed: Vec<_> = status.models.iter().flat_map(|model| &model.replicas).collect();
    let wanted: u32 =
        status.models.iter().filter_map(|model| model.model.as_ref()).map(|spec| spec.replicas).sum();
    let complete = placed.len() >= wanted as usize || !status.shortfalls.is_empty();
    complete
        && !placed.is_empty()
        && placed.iter().all(|replica| {
            let Some(fence) = replica.fence else { return false };
            replica.parts.iter().all(|part| {
                status
                    .nodes
                    .iter()
                    .find(|node| node.node == part.node)
                    .is_some_and(|node| ready(node, fence.replica))
            })
        })
}
