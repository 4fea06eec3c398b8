//! A hundred nodes over a connection each, as `make bench-telemetry` has ten thousand: all of them are routed to, and all
//! come back when the coordinator does.

#[path = "../benches/telemetry/fleet.rs"]
mod fleet;
#[path = "../benches/telemetry/says.rs"]
mod says;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use helixflow_coordinator::config::{HttpPort, Port, Timings};
use helixflow_coordinator::{Coordinator, CoordinatorConfig, CoordinatorError, Routing};
use helixflow_env::Env;
use helixflow_env::net::{Connector, draw_ports};
use helixflow_model::{ClusterId, CoordinatorId, ModelId, NodeId, Region};
use helixflow_policy::routing::{PickContext, pick};
use helixflow_proto::v1::BootstrapRequest;
use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tonic::transport::Endpoint;

use fleet::Fleet;

/// A sample of the benchmark's.
const NODES: usize = 100;
/// Far longer than anything here takes, on a machine that runs other tests as well.
const PATIENCE: Duration = Duration::from_secs(60);

/// A coordinator of this process.
struct Running {
    routing: Routing,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), CoordinatorError>>,
}

impl Running {
    async fn start(ports: &[SocketAddr], data: &Path) -> Result<Self> {
        let port = |at: usize| Port { listen: ports[at], advertise: None };
        let config = CoordinatorConfig {
            cluster: ClusterId::new("many")?,
            id: CoordinatorId(1),
            region: Region::new(says::REGION)?,
            data_dir: data.to_owned(),
            grpc: port(0),
            raft: port(1),
            http: HttpPort { listen: ports[2] },
            timings: Timings::default(),
            reflection: false,
            otlp_endpoint: None,
        };
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let coordinator = Coordinator::start(config, Env::real(), metrics).await?;
        let routing = coordinator.routing().clone();
        let (stop, stopped) = oneshot::channel();
        let serve = coordinator.serve(async move {
            let _ = stopped.await;
        });
        Ok(Self { routing, stop, ended: tokio::spawn(serve) })
    }

    async fn stop(self) -> Result<()> {
        let _ = self.stop.send(());
        Ok(self.ended.await??)
    }

    /// Waits until the table has a replica on every node, and gives those that some of many requests are sent to.
    async fn picked(&self) -> Result<BTreeSet<NodeId>> {
        let began = Instant::now();
        while self.routing.look(|table, _| table.candidates().count()) < NODES {
            ensure!(began.elapsed() < PATIENCE, "not every node is in the table");
            sleep(Duration::from_millis(20)).await;
        }
        let (region, model) = (Region::new(says::REGION)?, ModelId::new(says::MODEL)?);
        let picks = (0..NODES as u64 * 50).map(|n| {
            let random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let context = PickContext { region: &region, exclude: &[], numerics: None, random };
            self.routing.look(|table, own| Ok(pick(table, &model, None, &context, own)?.candidate.node))
        });
        picks.collect()
    }
}

async fn bootstrap(ports: &[SocketAddr]) -> Result<()> {
    let endpoint = Endpoint::from_shared(format!("http://{}", ports[0]))?;
    let channel = endpoint.connect_with_connector(Connector(Env::real().network)).await?;
    let request = BootstrapRequest { raft: vec![ports[1].to_string()] };
    ClusterServiceClient::new(channel).bootstrap(request).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_is_heard_and_routed_to_and_comes_back_after_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ports = draw_ports(&Env::real(), 3).await?;
    let running = Running::start(&ports, folder.path()).await?;
    bootstrap(&ports).await?;
    let mut fleet = Fleet::of(ClusterId::new("many")?, &ports[0].to_string())?;
    fleet.add_model(u32::try_from(NODES)?).await?;
    fleet.grow(NODES).await?;
    fleet.serve().await?;
    let picked = running.picked().await.context("before the restart")?;
    assert!(picked.len() > NODES / 2, "requests go to {} of {NODES} nodes", picked.len());
    assert!(fleet.acknowledged() >= NODES as u64);

    running.stop().await?;
    fleet.lost().await?;
    let running = Running::start(&ports, folder.path()).await?;
    fleet.heard().await?;
    running.picked().await.context("after the restart")?;
    assert_eq!(fleet.live().await?, NODES);
    running.stop().await
}
