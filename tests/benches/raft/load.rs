//! The client, one and the same for both sides: closed-loop writers, each with a connection of its own.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::cluster::{Cluster, MEMBERS, Side};
use crate::{etcd, helixflow};

/// Bytes of a value.
const VALUE_BYTES: usize = 256;
/// Writes go round so many keys: our state holds no more tenants.
const KEYS: usize = 4096;
/// Writers write for so long before anything counts.
const WARM_UP: Duration = Duration::from_millis(500);

/// Which members the writers are connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// All to the leader.
    Leader,
    /// In equal parts to each member.
    All,
}

/// What writers saw.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Writes acknowledged in the time that counts.
    pub(crate) writes_per_second: f64,
    /// Of the writes that count, shortest first.
    latencies: Vec<Duration>,
    /// Writes acknowledged in all, those of the warm-up included.
    pub(crate) acknowledged: usize,
}

impl Measured {
    /// The latency that so many of a thousand writes do not exceed, in milliseconds.
    pub(crate) fn latency_ms(&self, permille: usize) -> Result<f64> {
        let last = self.latencies.len().checked_sub(1).context("no write was acknowledged in time")?;
        let latency = self.latencies.get(last * permille / 1000).context("a share of a thousand")?;
        Ok(latency.as_secs_f64() * 1000.0)
    }
}

/// Writes for a time; the first failure ends it.
pub(crate) async fn load(
    cluster: &Cluster,
    to: Target,
    writers: usize,
    measured: Duration,
) -> Result<Measured> {
    let leader = cluster.leader().await?;
    let mut connections = Vec::new();
    for writer in 0..writers {
        let member = if to == Target::Leader { leader } else { writer % MEMBERS };
        connections.push(cluster.connect(member).await?);
    }
    let begin = Instant::now() + WARM_UP;
    let end = begin + measured;
    let mut running = JoinSet::new();
    for (writer, grpc) in connections.into_iter().enumerate() {
        running.spawn(write_until(end, cluster.side, grpc, writer, writers));
    }
    let mut writes = Vec::new();
    while let Some(done) = running.join_next().await {
        writes.extend(done?.with_context(|| format!("a write failed at {:?}", cluster.side))?);
    }
    if cluster.leader().await? != leader {
        eprintln!("NOTE: {:?} has elected another leader while it was measured", cluster.side);
    }
    let acknowledged = writes.len();
    let counting = writes.into_iter().filter(|(began, took)| *began >= begin && *began + *took <= end);
    let mut latencies: Vec<Duration> = counting.map(|(_, took)| took).collect();
    latencies.sort();
    Ok(Measured {
        writes_per_second: latencies.len() as f64 / measured.as_secs_f64(),
        latencies,
        acknowledged,
    })
}

/// When each write began and how long it took.
async fn write_until(
    end: Instant,
    side: Side,
    mut grpc: Grpc<Channel>,
    writer: usize,
    writers: usize,
) -> Result<Vec<(Instant, Duration)>, Status> {
    let value = "v".repeat(VALUE_BYTES);
    let mut writes = Vec::new();
    let mut next = writer;
    while Instant::now() < end {
        let key = format!("t{:07}", next % KEYS);
        next += writers;
        let began = Instant::now();
        match side {
            Side::Helixflow => helixflow::put(&mut grpc, &key, &value).await?,
            Side::Etcd => etcd::put(&mut grpc, &key, &value).await?,
        }
        writes.push((began, began.elapsed()));
    }
    Ok(writes)
}

/// One call of either side.
pub(crate) async fn unary<Q, R>(grpc: &mut Grpc<Channel>, call: &'static str, request: Q) -> Result<R, Status>
where
    Q: prost::Message + 'static,
    R: prost::Message + Default + 'static,
{
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<Q, R>::default();
    let path = PathAndQuery::from_static(call);
    Ok(grpc.unary(Request::new(request), path, codec).await?.into_inner())
}
