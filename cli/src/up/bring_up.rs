//! From processes to a cluster that answers: coordinators, bootstrap, nodes, model, replicas.

use std::time::Duration;

use anyhow::{Context, bail};
use helixflow_client::{Client, ClientOptions};
use helixflow_env::Env;
use helixflow_model::ModelSpec;
use helixflow_proto::v1::{CoordinatorMember, NodeStatus, ReplicaPhase, StatusResponse};
use tokio::time::{Instant, sleep, timeout};

use super::layout::Layout;
use super::progress::Board;
use super::supervisor::Supervisor;
use crate::data_dir::Role;

/// How often the cluster is asked how far it is.
const POLL: Duration = Duration::from_millis(100);
/// How long coordinators may take to answer, and to elect a leader.
const QUORUM_PATIENCE: Duration = Duration::from_secs(30);
/// How long a node may take to join.
const JOIN_PATIENCE: Duration = Duration::from_secs(30);
/// How long the replicas may stay without any progress.
const READY_PATIENCE: Duration = Duration::from_secs(120);
/// How long one question may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Starts every process and waits until every replica answers.
pub(crate) async fn run(env: &Env, layout: &Layout, model: &ModelSpec, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let names = layout.coordinators.iter().map(|c| c.name()).chain(layout.nodes.iter().map(|n| n.name()));
    let lines = Board::new(names);
    let options = ClientOptions { timeout: Some(CALL_TIMEOUT) };
    let client = Client::new(env, &layout.endpoints(), options)?;

    for index in 0..layout.coordinators.len() {
        supervisor.start(index, Role::Coordinator);
    }
    unless_broken(supervisor, form_quorum(env, layout, &client, &lines)).await?;
    let leader = layout.coordinators.len();
    for index in 0..layout.nodes.len() {
        supervisor.start(leader + index, Role::Node);
        unless_broken(supervisor, joined(&client, &layout.nodes[index].grpc)).await?;
        lines.say(leader + index, "joined");
    }
    unless_broken(supervisor, async { Ok(client.add_model(model.clone().into()).await.map(|_| ())?) }).await?;
    unless_broken(supervisor, replicas_ready(&client, layout, &lines)).await?;
    lines.finish();
    Ok(())
}

/// A step of the start, given up when a process cannot be kept up.
async fn unless_broken(supervisor: &mut Supervisor, step: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::select! {
        result = step => result,
        error = supervisor.fails_to_start() => Err(error),
    }
}

async fn form_quorum(env: &Env, layout: &Layout, client: &Client, lines: &Board) -> anyhow::Result<()> {
    for (index, seat) in layout.coordinators.iter().enumerate() {
        let one = Client::new(env, std::slice::from_ref(&seat.grpc), ClientOptions { timeout: Some(CALL_TIMEOUT) })?;
        let answers = async {
            while one.status().await.is_err() {
                sleep(POLL).await;
            }
        };
        timeout(QUORUM_PATIENCE, answers).await.with_context(|| format!("{} does not answer; see its log", seat.name()))?;
        lines.say(index, "answers");
    }
    client.bootstrap(members(layout)).await?;
    let elected = async {
        loop {
            match client.status().await {
                Ok(status) if status.leader != 0 && status.applied_index > 0 => return,
                _ => sleep(POLL).await,
            }
        }
    };
    timeout(QUORUM_PATIENCE, elected).await.context("the coordinators elect no leader; see their logs")?;
    for index in 0..layout.coordinators.len() {
        lines.say(index, "ready");
    }
    Ok(())
}

fn members(layout: &Layout) -> Vec<CoordinatorMember> {
    let member = |c: &super::layout::CoordinatorSeat| CoordinatorMember {
        id: c.id,
        region: c.region.to_string(),
        grpc: c.grpc.clone(),
        raft: c.raft.clone(),
    };
    layout.coordinators.iter().map(member).collect()
}

async fn joined(client: &Client, address: &str) -> anyhow::Result<()> {
    let joins = async {
        loop {
            match client.status().await {
                Ok(status) if status.nodes.iter().any(|node| node.advertise == address) => return,
                _ => sleep(POLL).await,
            }
        }
    };
    timeout(JOIN_PATIENCE, joins).await.with_context(|| format!("the node at {address} does not join; see its log"))
}

/// Waits for a ready replica on every node, or for as many as placement finds room for.
async fn replicas_ready(client: &Client, layout: &Layout, lines: &Board) -> anyhow::Result<()> {
    let mut moved = (Instant::now(), Vec::new());
    loop {
        if let Ok(status) = client.status().await {
            let states: Vec<String> = layout.nodes.iter().map(|seat| state_of(&status, &seat.grpc)).collect();
            for (index, state) in states.iter().enumerate() {
                lines.say(layout.coordinators.len() + index, state);
            }
            if all_placed_are_ready(&status) {
                return Ok(());
            }
            if moved.1 != states {
                moved = (Instant::now(), states);
            }
        }
        if moved.0.elapsed() > READY_PATIENCE {
            bail!("the replicas are not ready after {} s without progress: {}", READY_PATIENCE.as_secs(), moved.1.join("; "));
        }
        sleep(POLL).await;
    }
}

fn state_of(status: &StatusResponse, address: &str) -> String {
    let Some(node) = status.nodes.iter().find(|node| node.advertise == address) else { return "joining".to_owned() };
    match node.replicas.first() {
        None => "joined".to_owned(),
        Some(replica) => {
            let phase = replica.phase().as_str_name().trim_start_matches("REPLICA_PHASE_").to_lowercase();
            if replica.detail.is_empty() { phase } else { format!("{phase}: {}", replica.detail) }
        }
    }
}

/// Every replica that the log places is reported ready, and there is at least one.
fn all_placed_are_ready(status: &StatusResponse) -> bool {
    let ready = |node: &NodeStatus, replica: u64| {
        node.replicas.iter().any(|r| r.fence.is_some_and(|f| f.replica == replica) && r.phase() == ReplicaPhase::Ready)
    };
    let placed: Vec<_> = status.models.iter().flat_map(|model| &model.replicas).collect();
    let wanted: u32 = status.models.iter().filter_map(|model| model.model.as_ref()).map(|spec| spec.replicas).sum();
    let complete = placed.len() >= wanted as usize || !status.shortfalls.is_empty();
    complete
        && !placed.is_empty()
        && placed.iter().all(|replica| {
            let Some(fence) = replica.fence else { return false };
            replica.parts.iter().all(|part| {
                status.nodes.iter().find(|node| node.node == part.node).is_some_and(|node| ready(node, fence.replica))
            })
        })
}
