//! A node from its start to its end: lock, ports, actors, servers; then a drain, and everything in reverse.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use helixflow_actors::{NodeActors, NodeIdentity, NodePlan};
use helixflow_env::Env;
use helixflow_env::disk::Lock;
use helixflow_env::net::Listener;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::config::NodeConfig;
use crate::device::{Boards, Gpus, Patience, Program, StillSet};
use crate::error::NodeError;
use crate::gauges::Meter;
use crate::http::Shown;
use crate::shard::NodeHost;
use crate::weights::FetchSettings;
use crate::{device, grpc, http, identity};

/// How long the servers may take to close their connections once nothing runs any more.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Runs a node until `shutdown` is done, then drains it. `metrics` is what `/metrics` shows, `gpus` the program that reads
/// the machine's GPUs; without one it has none.
///
/// It serves what the coordinators order, and goes on serving that while none of them answers.
pub async fn run(
    config: NodeConfig,
    env: Env,
    gpus: Option<Program>,
    metrics: PrometheusHandle,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), NodeError> {
    let uuid = identity::machine_uuid(&env, &config.data_dir)?;
    let _lock = lock(&config, &env)?;
    let grpc = bind("grpc", config.grpc.listen, &env).await?;
    let http = bind("http", config.http.listen, &env).await?;
    let mut gpus = find_gpus(gpus, &config, &env).await?;
    let boards = Boards::of(gpus.as_ref(), &config.simulated);
    let identity = NodeIdentity {
        cluster: config.cluster.clone(),
        uuid,
        region: config.region.clone(),
        advertise: config.grpc.advertised(grpc.local_addr()),
        memory: config.memory.unwrap_or_else(device::machine_memory),
        boards: boards.all().iter().map(|board| device::traits(board.info())).collect(),
    };
    tracing::info!(grpc = %grpc.local_addr(), http = %http.local_addr(), advertise = identity.advertise, "listening");
    let mut actors = NodeActors::start(plan(&config, &env, identity, &boards)).await?;
    let stop = CancellationToken::new();
    let mut servers = JoinSet::new();
    let shown = Shown { metrics, reports: actors.reports(), tree: actors.tree(), meter: Meter::default() };
    let serving = http::serve(http, shown, device::simulated_router(boards.changeable()), stop.clone());
    servers.spawn(async { ("http", serving.await.map_err(Into::into)) });
    let serving = grpc::serve(grpc, config.cluster, env, actors.roster(), actors.boards(), stop.clone());
    servers.spawn(async { ("grpc", serving.await.map_err(Into::into)) });

    let outcome = tokio::select! {
        () = shutdown => Ok(()),
        () = actors.ended() => Err(NodeError::Actors),
        Some(ended) = servers.join_next() => Err(why(ended)),
        never = tell_of_late(gpus.as_mut()) => match never {},
    };
    if !matches!(outcome, Err(NodeError::Actors)) {
        tracing::info!("draining");
        actors.shut_down();
        actors.ended().await;
    }
    release(gpus.as_ref()).await;
    stop.cancel();
    let closed = async { while servers.join_next().await.is_some() {} };
    if tokio::time::timeout(CLOSE_LIMIT, closed).await.is_err() {
        tracing::debug!("some connections were cut");
    }
    outcome
}

/// A server ended, although nobody told it to.
fn why(ended: Result<(&'static str, Result<(), BoxError>), JoinError>) -> NodeError {
    match ended {
        Ok((key, Err(source))) => NodeError::Server { key, source },
        Ok((key, Ok(()))) => NodeError::Server { key, source: "it ended".into() },
        Err(lost) => NodeError::Server { key: "grpc or http", source: lost.into() },
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(crate) fn lock(config: &NodeConfig, env: &Env) -> Result<Lock, NodeError> {
    let path = config.data_dir.clone();
    env.disk.lock(&path.join("lock")).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => NodeError::InUse { path },
        _ => NodeError::Lock { path, source },
    })
}

async fn bind(key: &'static str, address: std::net::SocketAddr, env: &Env) -> Result<Listener, NodeError> {
    env.network.bind(address).await.map_err(|source| NodeError::Port { key, address, source })
}

/// Finds the GPUs, and frees what an earlier life of this node has left set on them.
async fn find_gpus(
    program: Option<Program>,
    config: &NodeConfig,
    env: &Env,
) -> Result<Option<Gpus>, NodeError> {
    let Some(program) = program else { return Ok(None) };
    Ok(Some(Gpus::find(program, Patience::USUAL, Arc::clone(&env.disk), &config.data_dir).await?))
}

/// Says when GPUs answer that did not in time.
async fn tell_of_late(gpus: Option<&mut Gpus>) -> Infallible {
    if let Some(gpus) = gpus {
        let boards = gpus.come_late().await.len();
        tracing::warn!(boards, "the GPUs answer now; restart this node, and it has them");
    }
    std::future::pending().await
}

/// Frees the clocks that this node has set.
async fn release(gpus: Option<&Gpus>) {
    let Some(gpus) = gpus else { return };
    for StillSet { board, by_hand, source } in gpus.release().await {
        tracing::warn!(%board, error = source, "what this node set is still set; its next start tries again, or {by_hand}");
    }
}

fn plan(config: &NodeConfig, env: &Env, identity: NodeIdentity, boards: &Boards) -> NodePlan<NodeHost> {
    let host = NodeHost {
        weights_dir: config.weights_dir(),
        settings: FetchSettings::default(),
        threads: config.threads(),
        kv_memory: config.kv_memory,
        seats: boards.seats(),
    };
    NodePlan {
        identity,
        coordinators: config.coordinators.clone(),
        folder: config.data_dir.clone(),
        boards: boards.all(),
        host: Arc::new(host),
        env: env.clone(),
    }
}
