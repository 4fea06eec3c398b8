//! The HTTP port: metrics in Prometheus form, and probes.
//!
//! `/healthz` says that the process answers; `/readyz` that the node has joined and everything it was given serves.
//! Where boards are simulated, `/simulated` shows and changes them, as the first lines of `device/simulated/door.rs` tell.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use helixflow_env::net::{Connection, Listener};
use helixflow_model::{NodeReport, ReplicaPhase};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::gauges;

/// A listener that fails (no file descriptors left) is asked again after this pause.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the port shows.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) metrics: PrometheusHandle,
    pub(crate) reports: watch::Receiver<Option<NodeReport>>,
}

/// Serves until `stop` is cancelled; `further` is what else there is to be served.
pub(crate) async fn serve(
    listener: Listener,
    shown: Shown,
    further: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(shown)
        .merge(further);
    axum::serve(Accepting(listener), router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn render(State(shown): State<Shown>) -> String {
    if let Some(report) = &*shown.reports.borrow() {
        gauges::set(report);
    }
    shown.metrics.render()
}

async fn ready(State(shown): State<Shown>) -> (StatusCode, String) {
    match waits_for(shown.reports.borrow().as_ref()) {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

/// What keeps the node from being ready.
fn waits_for(report: Option<&NodeReport>) -> Option<String> {
    let Some(report) = report else { return Some("no coordinator has let this node join yet".to_owned()) };
    let unready = report.replicas.iter().find(|replica| replica.phase != ReplicaPhase::Ready)?;
    Some(format!("{} is not ready ({:?}) {}", unready.fence.replica, unready.phase, unready.detail))
}

/// Our listener, as axum takes it.
struct Accepting(Listener);

impl axum::serve::Listener for Accepting {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(connection) => {
                    let peer = connection.peer().unwrap_or(self.0.local_addr());
                    return (connection, peer);
                }
                Err(error) => {
                    tracing::warn!(%error, "an HTTP connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local_addr())
    }
}
