//! A node stays with its cluster while all the coordinators that its configuration names are replaced, one by one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use helixflow_client::{Client, ClientOptions};
use helixflow_coordinator::config::{HttpPort, Port, Timings};
use helixflow_coordinator::{Addresses, Coordinator, CoordinatorConfig, CoordinatorError};
use helixflow_env::Env;
use helixflow_model::{Bytes, ClusterId, CoordinatorId, Region};
use helixflow_node::{GrpcPort, NodeConfig, NodeError};
use helixflow_proto::v1::NodeStatus;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Nothing here takes so long, even on a machine whose cores are all busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);
const REGION: &str = "eu-1";

/// A coordinator or a node that runs in this process.
struct Running<E> {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), E>>,
}

impl<E: std::error::Error + Send + Sync + 'static> Running<E> {
    /// How it ended by itself.
    async fn end(self) -> Result<Result<(), E>> {
        timeout(PATIENCE, self.ended).await.context("an end in time")?.context("no panic")
    }

    async fn stop(self) -> Result<()> {
        let _ = self.stop.send(());
        timeout(PATIENCE, self.ended).await.context("an end in time")??.context("an orderly end")
    }
}

fn cluster() -> Result<ClusterId> {
    Ok(ClusterId::new("alpha")?)
}

fn metrics() -> PrometheusHandle {
    PrometheusBuilder::new().build_recorder().handle()
}

/// A port of the loopback interface that is drawn.
fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

async fn coordinator(id: u64, folder: &Path) -> Result<(Addresses, Running<CoordinatorError>)> {
    let port = || Port { listen: any_port(), advertise: None };
    let config = CoordinatorConfig {
        cluster: cluster()?,
        id: CoordinatorId(id),
        region: Region::new(REGION)?,
        data_dir: folder.join(format!("coordinator-{id}")),
        grpc: port(),
        raft: port(),
        http: HttpPort { listen: any_port() },
        timings: Timings::default(),
        reflection: false,
        otlp_endpoint: None,
        simulated: helixflow_node::Simulated::default(),
    };
    let coordinator = Coordinator::start(config, Env::real(), metrics()).await?;
    let addresses = coordinator.addresses().clone();
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(coordinator.serve(async { drop(stopped.await) }));
    Ok((addresses, Running { stop, ended }))
}

/// A node whose configuration names one coordinator; each life draws a port of its own.
fn node(data_dir: PathBuf, configured: &str) -> Result<Running<NodeError>> {
    let config = NodeConfig {
        cluster: cluster()?,
        region: Region::new(REGION)?,
        coordinators: vec![configured.to_owned()],
        data_dir,
        weights_dir: None,
        threads: Some(1),
        memory: Some(Bytes(1 << 30)),
        kv_memory: None,
        grpc: GrpcPort { listen: any_port(), advertise: None },
        http: helixflow_node::HttpPort { listen: any_port() },
        otlp_endpoint: None,
    };
    let (stop, stopped) = oneshot::channel();
    let run = helixflow_node::run(config, Env::real(), metrics(), async { drop(stopped.await) });
    Ok(Running { stop, ended: tokio::spawn(run) })
}

fn client(addresses: &Addresses) -> Result<Client> {
    Ok(Client::new(&Env::real(), std::slice::from_ref(&addresses.grpc), ClientOptions::default())?)
}

/// The node as that coordinator knows it, once it does and the condition holds.
async fn seen(at: &Addresses, what: &str, holds: impl Fn(&NodeStatus) -> bool) -> Result<NodeStatus> {
    let client = client(at)?;
    let looking = async {
        loop {
            let status = client.status().await;
            if let Some(node) = status.ok().and_then(|status| status.nodes.into_iter().find(&holds)) {
                return node;
            }
            sleep(POLL).await;
        }
    };
    timeout(PATIENCE, looking).await.with_context(|| format!("{what} at {}", at.grpc))
}

/// A cluster of the one coordinator.
async fn bootstrap(first: &Addresses) -> Result<()> {
    client(first)?.bootstrap(vec![first.raft.clone()]).await?;
    Ok(())
}

/// Makes `new` a member at `old`, waits until it gets the node's reports, then removes `old`.
async fn replace(old: (u64, &Addresses, Running<CoordinatorError>), new: &Addresses) -> Result<()> {
    let (id, addresses, running) = old;
    let mut steps = client(addresses)?.add_coordinator(new.raft.clone(), false).await?;
    while !steps.next().await?.done {}
    seen(new, "reports of the node", |node| node.report_age_ms.is_some()).await?;
    ensure!(client(new)?.remove_coordinator(id).await?, "coordinator {id} was a member");
    let ended = running.end().await?;
    ensure!(ended.as_ref().is_err_and(CoordinatorError::is_no_member), "{ended:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_stays_live_and_comes_back_when_all_its_configured_coordinators_are_gone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (first, first_runs) = coordinator(1, folder.path()).await?;
    bootstrap(&first).await?;
    let home = folder.path().join("node");
    let node_runs = node(home.clone(), &first.grpc)?;
    let joined = seen(&first, "the node", |node| node.report_age_ms.is_some()).await?;

    let (second, second_runs) = coordinator(2, folder.path()).await?;
    replace((1, &first, first_runs), &second).await?;
    let (third, third_runs) = coordinator(3, folder.path()).await?;
    replace((2, &second, second_runs), &third).await?;
    let node_now = seen(&third, "the node", |_| true).await?;
    assert_eq!((node_now.node, node_now.health.as_str()), (joined.node, "live"));

    node_runs.stop().await?;
    let node_runs = node(home, &first.grpc)?;
    let again = seen(&third, "the node's next life", |node| node.advertise != joined.advertise).await?;
    assert_eq!(again.node, joined.node);
    node_runs.stop().await?;
    third_runs.stop().await
}
